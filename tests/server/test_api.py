"""What the API answers, asked over HTTP with the models that come along."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.server.running import (
    NAMES,
    Running,
    assert_problem,
    events,
    finished,
    parts,
    picture,
    post,
    running,
    series,
)  # fmt: skip
from tumorlens import Analyzer, read_scan
from tumorlens.finding.document import FindingDocument, document


@pytest.fixture(scope="module")
def slice_(real: Running, slices_folder: Path) -> dict[str, Any]:
    """A real slice's analysis."""
    response = post(real.client, slices_folder / "104.mat")
    assert response.status_code == 201, response.text
    analysis: dict[str, Any] = response.json()
    return analysis


@pytest.fixture(scope="module")
def volume(real: Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A DICOM series' analysis, done."""
    response = post(real.client, *series(tmp_path_factory.mktemp("dicom") / "Muster_Erika"))
    assert response.status_code == 202, response.text
    return finished(real.client, response.json()["id"])


def layers(client: httpx.Client, id_: str, index: int, shape: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
    """Pixels, mask, heat and probability of a slice."""
    told = client.get(f"/v1/analyses/{id_}/view/slices/{index}").content
    size = shape[0] * shape[1]
    assert len(told) == 5 * size
    pixels = np.frombuffer(told[: 2 * size], "<u2").reshape(shape)
    maps = np.frombuffer(told[2 * size :], np.uint8).reshape(3, *shape)
    return pixels, *maps


def test_a_slice_is_answered_with_what_the_command_line_writes(
    slice_: dict[str, Any], slices_folder: Path
) -> None:
    expected = document(Analyzer().analyze(read_scan(slices_folder / "104.mat")))
    assert slice_["result"] == expected
    assert slice_["result"]["source"] == slice_["name"] == "104.mat"
    assert slice_["status"] == "done"
    assert slice_["kind"] == "slice"
    assert slice_["progress"] == {"done": 1, "total": 1}
    assert slice_["files"] == ["overlay", "mask", "heatmap", "json", "html", "nifti"]
    assert slice_["expires"] > slice_["created"]


def test_the_location_of_an_analysis_is_the_analysis(client: httpx.Client, slices_folder: Path) -> None:
    response = post(client, slices_folder / "120.mat")
    assert client.get(response.headers["location"]).json() == response.json()


def test_a_slice_is_drawn_from_the_pixels_and_the_finding_of_the_scan(
    client: httpx.Client, slice_: dict[str, Any], slices_folder: Path
) -> None:
    scan = read_scan(slices_folder / "104.mat")
    finding = Analyzer().analyze(scan)
    assert finding.mask is not None
    assert finding.heatmap is not None
    assert finding.tumor_probability is not None
    view = client.get(f"/v1/analyses/{slice_['id']}/view").json()
    assert view["shape"] == [1, 512, 512]
    assert view["spacing"] == [None, 0.49, 0.49]
    assert view["outlined"] == [slice_["result"]["tumor_pixels"]]
    assert view["presets"][-1] == {"name": "Full range", "low": scan.pixels.min(), "high": scan.pixels.max()}
    pixels, mask, heat, probability = layers(client, slice_["id"], 0, (512, 512))
    assert np.array_equal(pixels * view["slope"] + view["intercept"], scan.pixels[0])
    assert np.array_equal(mask, finding.mask[0])
    assert np.abs(heat / 255 - finding.heatmap[0]).max() < 1 / 255
    assert np.abs(probability / 255 - finding.tumor_probability[0]).max() < 1 / 255


def test_a_slice_to_draw_is_packed_only_for_clients_that_take_it(
    client: httpx.Client, slice_: dict[str, Any]
) -> None:
    path = f"/v1/analyses/{slice_['id']}/view/slices/0"
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    packed = client.get(path, headers={"Accept-Encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 4
    assert packed.content == plain.content
    assert "content-encoding" not in client.get(path, headers={"Accept-Encoding": "gzip;q=0"}).headers


@pytest.mark.parametrize("index", ["1", "-1", "x", "99999999999"])
def test_a_slice_that_there_is_none_of_is_a_problem(
    client: httpx.Client, slice_: dict[str, Any], index: str
) -> None:
    response = client.get(f"/v1/analyses/{slice_['id']}/view/slices/{index}")
    assert_problem(response, 404 if index == "1" else 422)


def test_files_are_what_the_command_line_writes(
    client: httpx.Client, slice_: dict[str, Any], slices_folder: Path, tmp_path: Path
) -> None:
    finding = Analyzer().analyze(read_scan(slices_folder / "104.mat"))
    written = finding.write(tmp_path, slice_["files"], name="104")
    assert len(written) == len(slice_["files"])
    for format_, path in zip(slice_["files"], written, strict=True):
        response = client.get(f"/v1/analyses/{slice_['id']}/files/{format_}")
        assert response.status_code == 200, response.text
        assert f'attachment; filename="{path.name}"' in response.headers["content-disposition"]
        if format_ != "nifti":  # gzip tells the time
            assert response.content == path.read_bytes(), format_


def test_the_report_can_be_shown_without_any_script(client: httpx.Client, slice_: dict[str, Any]) -> None:
    response = client.get(f"/v1/analyses/{slice_['id']}/files/html?inline=true")
    assert response.headers["content-disposition"].startswith("inline")
    policy = response.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "script" not in policy
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    saved = client.get(f"/v1/analyses/{slice_['id']}/files/html")
    assert saved.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("format_", ["seg", "sr", "capture"])
def test_a_picture_has_no_dicom_files(client: httpx.Client, slice_: dict[str, Any], format_: str) -> None:
    assert_problem(client.get(f"/v1/analyses/{slice_['id']}/files/{format_}"), 409, "DICOM")
    assert_problem(client.get(f"/v1/analyses/{slice_['id']}/files/exe"), 422)


def test_a_volume_is_followed_slice_by_slice(client: httpx.Client, tmp_path: Path) -> None:
    id_ = post(client, *series(tmp_path / "dicom", 40)).json()["id"]
    told = events(client, id_)
    assert told[-1]["status"] == "done"
    assert told[-1]["kind"] == "volume"
    assert told[-1]["progress"] == {"done": 40, "total": 40}
    done = [each["progress"]["done"] for each in told if each["progress"]]
    assert done == sorted(done)
    assert events(client, id_) == [told[-1]]


def test_a_dicom_series_has_every_file(client: httpx.Client, volume: dict[str, Any]) -> None:
    assert volume["files"][0] == "overlay"
    kinds = {}
    for format_ in volume["files"]:
        response = client.get(f"/v1/analyses/{volume['id']}/files/{format_}")
        assert response.status_code == 200, response.text
        kinds[format_] = response
    masks = zipfile.ZipFile(io.BytesIO(kinds["mask"].content))
    assert [name.rsplit("/")[-1] for name in masks.namelist()] == [f"{index}.png" for index in range(1, 7)]
    assert Image.open(masks.open(masks.namelist()[0])).size == (40, 48)
    capture = pydicom.dcmread(io.BytesIO(kinds["capture"].content))
    assert capture.PatientName == "Muster^Erika", "what goes back into the archive says whose it is"


def test_what_of_the_patient_lies_where_is_told(client: httpx.Client, volume: dict[str, Any]) -> None:
    view = client.get(f"/v1/analyses/{volume['id']}/view").json()
    assert view["plane"] == "axial"
    assert view["directions"] == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    assert view["spacing"] == pytest.approx([5, 0.9, 0.9])
    assert np.array(view["affine"]).shape == (4, 4)
    assert len(view["outlined"]) == 6


def test_nobody_is_told_whose_scan_it_is(client: httpx.Client, volume: dict[str, Any]) -> None:
    told = [json.dumps(volume)]
    for format_ in ("json", "html"):
        response = client.get(f"/v1/analyses/{volume['id']}/files/{format_}")
        told += [response.text, str(response.headers)]
    told += [client.get(f"/v1/analyses/{volume['id']}/view").text]
    assert not [name for name in NAMES for text in told if name.lower() in text.lower()]
    assert volume["name"] == "6 files"


def test_a_file_named_after_the_patient_gets_another_name(client: httpx.Client, tmp_path: Path) -> None:
    [file] = series(tmp_path, 3)[:1]
    named = file.rename(tmp_path / "Muster Erika.dcm")
    response = post(client, named)
    assert response.status_code == 201
    assert response.json()["name"] == "scan.dcm"
    assert response.json()["result"]["source"] == "scan.dcm"
    assert "Muster" not in response.text


def test_the_best_series_is_taken_and_another_can_be_asked_for(client: httpx.Client, tmp_path: Path) -> None:
    files = series(tmp_path / "a", 6)
    files += series(tmp_path / "b", 5, SeriesInstanceUID="1.2.3.4.5.6", SeriesNumber=9,
                    SeriesDescription="t2_tse Muster", ContrastBolusAgent="")  # fmt: skip
    first = finished(client, post(client, *files).json()["id"])
    assert [each["chosen"] for each in first["series"]] == [True, False]
    assert "t2_tse" in first["series"][1]["text"]
    assert "Muster" not in str(first)
    response = client.post(f"/v1/analyses/{first['id']}/series", json={"series": "2"})
    assert response.status_code == 202
    assert response.headers["location"] == f"/v1/analyses/{response.json()['id']}"
    second = finished(client, response.json()["id"])
    assert second["id"] != first["id"]
    assert [each["chosen"] for each in second["series"]] == [False, True]
    assert second["result"]["shape"] == [5, 48, 40]
    client.delete(f"/v1/analyses/{first['id']}")
    assert client.get(f"/v1/analyses/{second['id']}/view").status_code == 200, "it has the files to itself"


def test_a_series_that_isnt_there_fails_with_a_sentence(client: httpx.Client, volume: dict[str, Any]) -> None:
    path = f"/v1/analyses/{volume['id']}/series"
    told = finished(client, client.post(path, json={"series": "7"}).json()["id"])
    assert told["status"] == "failed"
    assert "series" in told["problem"]["detail"]
    assert "--" not in told["problem"]["detail"]
    assert_problem(client.post(path, json={"series": ""}), 422, "series")
    assert_problem(client.post(path, content=b"{"), 422)


def test_a_series_can_be_asked_for_with_the_upload(client: httpx.Client, tmp_path: Path) -> None:
    files = series(tmp_path / "a", 6) + series(
        tmp_path / "b", 5, SeriesInstanceUID="1.2.3.4.5.6", SeriesNumber=9
    )
    told = finished(client, post(client, *files, series="2").json()["id"])
    assert told["result"]["shape"][0] == 5


def test_a_zip_and_a_nifti_are_volumes_too(client: httpx.Client, tmp_path: Path) -> None:
    archive = tmp_path / "scan.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in series(tmp_path / "dicom"):
            packed.write(file, f"study/{file.name}")
    assert finished(client, post(client, archive).json()["id"])["result"]["shape"] == [6, 48, 40]
    nifti = tmp_path / "scan.nii.gz"
    pixels = np.random.default_rng(0).integers(0, 90, (40, 48, 6)).astype(np.int16)
    nib.save(nib.Nifti1Image(pixels, np.diag([1, 1, 5, 1])), nifti)
    assert finished(client, post(client, nifti).json()["id"])["result"]["shape"] == [6, 48, 40]


def test_a_tiff_of_several_pages_among_slices_becomes_a_volume(client: httpx.Client, tmp_path: Path) -> None:
    page = Image.open(picture(tmp_path / "a.png"))
    page.save(tmp_path / "pages.tiff", save_all=True, append_images=[page, page])
    response = post(client, tmp_path / "pages.tiff")
    assert response.status_code == 202
    assert finished(client, response.json()["id"])["result"]["shape"] == [3, 64, 64]


def test_only_the_largest_part_is_kept_where_that_is_asked(client: httpx.Client, slices_folder: Path) -> None:
    response = post(client, slices_folder / "120.mat", largest_component="true")
    assert response.status_code == 201
    expected = Analyzer().analyze(read_scan(slices_folder / "120.mat"), largest_component=True)
    assert response.json()["result"] == document(expected)
    assert_problem(post(client, slices_folder / "120.mat", largest_component="perhaps"), 422, "true or false")


def test_what_isnt_a_scan_is_refused_with_the_readers_sentence(client: httpx.Client, tmp_path: Path) -> None:
    text = tmp_path / "Muster.txt"
    text.write_text("no scan")
    told = assert_problem(post(client, text), 422, "expected a MATLAB v7.3 slice, a PNG")
    assert told["type"] == "/problems/not-a-scan"
    assert "Muster" not in str(told)
    assert client.get(told["type"]).status_code == 200


def test_a_damaged_picture_doesnt_tell_where_it_lay(real: Running, tmp_path: Path) -> None:
    damaged = tmp_path / "Muster.png"
    damaged.write_bytes(picture(tmp_path / "a.png").read_bytes()[:400])
    told = assert_problem(post(real.client, damaged), 422, "scan.png: expected a whole PNG")
    assert str(real.data) not in str(told)
    assert "000001" not in str(told)
    assert "Muster" not in str(told)


def test_an_upload_without_files_is_refused(client: httpx.Client, tmp_path: Path) -> None:
    one = parts(picture(tmp_path / "a.png"))
    assert_problem(client.post("/v1/analyses", files=[("other", one[0][1])]), 422)
    assert_problem(client.post("/v1/analyses", data={"series": "1"}), 415, "multipart/form-data")
    assert_problem(client.post("/v1/analyses", json={}), 415)
    assert_problem(client.post("/v1/analyses"), 415)
    boundary = {"Content-Type": "multipart/form-data; boundary=b"}
    assert_problem(client.post("/v1/analyses", content=b"--b\r\nnonsense", headers=boundary), 422)
    assert_problem(client.post("/v1/analyses", content=b"", headers=boundary), 422)


def test_an_erased_analysis_is_gone(real: Running, tmp_path: Path) -> None:
    id_ = post(real.client, picture(tmp_path / "a.png")).json()["id"]
    assert real.client.delete(f"/v1/analyses/{id_}").status_code == 204
    for path in ("", "/view", "/view/slices/0", "/files/json", "/events"):
        assert_problem(real.client.get(f"/v1/analyses/{id_}{path}"), 404, "There is no such analysis")
    assert_problem(real.client.delete(f"/v1/analyses/{id_}"), 404)
    assert not list(real.data.rglob(f"*{id_}*"))


@pytest.mark.parametrize("id_", ["0" * 32, "x", "..", "%2e%2e", "..%2f..", "0" * 31 + "%0a", "é"])
def test_an_analysis_that_there_never_was_is_unknown(client: httpx.Client, id_: str) -> None:
    assert_problem(client.get(f"/v1/analyses/{id_}"), 404)


def test_an_analysis_that_is_done_cant_be_cancelled(client: httpx.Client, slice_: dict[str, Any]) -> None:
    assert client.post(f"/v1/analyses/{slice_['id']}/cancel").json()["status"] == "done"


def test_the_model_says_what_it_has_seen(client: httpx.Client) -> None:
    [model] = client.get("/v1/models").json()["models"]
    assert model["classes"] == ["meningioma", "glioma", "pituitary tumor"]
    assert [band["word"] for band in model["confidence"]] == ["high", "moderate", "low"]
    assert "without a tumor" in model["not_seen"]
    assert model["card"].startswith("# Model card")
    assert model["results"]["segmentation: dice"]["slices"] == 2400


def test_it_tells_that_it_lives_and_is_ready(client: httpx.Client, slice_: dict[str, Any]) -> None:
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").text == "ok\n"
    numbers = client.get("/metrics").text
    assert 'tumorlens_analyses_total{kind="slice",status="done"}' in numbers
    assert "process_resident_memory_bytes" in numbers
    assert slice_["id"] not in numbers


def test_the_page_and_its_files_are_served(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    module = client.get("/static/main.js")
    assert module.headers["content-type"] == "text/javascript; charset=utf-8"
    again = client.get("/static/main.js", headers={"If-None-Match": module.headers["etag"]})
    assert again.status_code == 304
    for path in ("/static/../run.py", "/static/%2e%2e/run.py", "/static/nothing.js", "/static/", "/nothing"):
        assert_problem(client.get(path), 404)
    assert_problem(client.put("/v1/analyses"), 405)


def test_a_finding_that_left_the_memory_is_found_again(tmp_path: Path, slices_folder: Path) -> None:
    with running(tmp_path / "data", cache=0) as server:
        analysis = post(server.client, slices_folder / "104.mat").json()
        _, mask, _, _ = layers(server.client, analysis["id"], 0, (512, 512))
        assert mask.sum() == analysis["result"]["tumor_pixels"]
        told = server.client.get(f"/v1/analyses/{analysis['id']}/files/json").json()
        assert told == analysis["result"]


def test_a_document_of_the_schema_is_answered(slice_: dict[str, Any]) -> None:
    assert FindingDocument.model_validate(slice_["result"]).schema_version == 2
