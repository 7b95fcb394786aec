import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless

from tests.dicom_files import write_series
from tests.pacs.orthanc import Orthanc
from tests.pacs.proxy import Answer, Asked, Proxy
from tests.pacs.studies import write_study
from tumorlens.errors import TumorlensError
from tumorlens.pacs.entry import SeriesEntry
from tumorlens.pacs.errors import PacsBusyError, PacsError
from tumorlens.pacs.pull import pull_series
from tumorlens.pacs.server import PacsServer

PATIENT = ("Muster", "Erika", "PID-4711", "19640812", "20240301", "ACC-99")


def series_in(orthanc: Orthanc, folder: Path, slices: int = 5, seed: str = "1") -> SeriesEntry:
    """Store a series."""
    study, files = write_study(folder, seed, slices)
    orthanc.add(files)
    return SeriesEntry(study, pydicom.dcmread(files[0]).SeriesInstanceUID, "MR")


def files_in(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*.dcm"))


def fetches(proxy: Proxy) -> list[Asked]:
    return [each for each in proxy.log if "multipart/related" in each.headers["Accept"]]


def of_files(change: Callable[[Answer], Answer], times: int = 1000) -> Callable[[Asked, Answer], Answer]:
    """Change so many answers that have files."""
    left = [times]

    def changed(asked: Asked, answer: Answer) -> Answer:
        if "multipart/related" not in asked.headers["Accept"] or not left[0]:
            return answer
        left[0] -= 1
        return change(answer)

    return changed


def test_a_series_comes_byte_for_byte_as_it_was_stored(
    orthanc: Orthanc, server: PacsServer, folder: Path, tmp_path: Path
) -> None:
    series = series_in(orthanc, folder)
    [pulled] = pull_series(server, [series], tmp_path / "out")
    stored = sorted(path.read_bytes() for path in folder.iterdir())
    assert (pulled.fetched, pulled.kept) == (5, 0)
    assert files_in(tmp_path / "out") == stored


def test_a_compressed_series_stays_compressed(
    orthanc: Orthanc, server: PacsServer, folder: Path, tmp_path: Path
) -> None:
    values = np.arange(64 * 64, dtype=np.uint16).reshape(1, 64, 64)
    [path] = write_series(folder, values)
    dataset = pydicom.dcmread(path)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.save_as(path)
    orthanc.add([path])
    pull_series(server, [SeriesEntry(dataset.StudyInstanceUID, dataset.SeriesInstanceUID)], tmp_path / "out")
    assert files_in(tmp_path / "out") == [path.read_bytes()]


def test_names_say_nothing_of_the_patient_and_the_manifest_says_which_is_which(
    orthanc: Orthanc, server: PacsServer, folder: Path, tmp_path: Path
) -> None:
    series = series_in(orthanc, folder)
    out = tmp_path / "out"
    pull_series(server, [series], out)
    manifest = (out / "manifest.json").read_text()
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    numbered = [f"series-1/{number:06d}.dcm" for number in range(1, 6)]
    assert names == ["manifest.json", "series-1", *numbered]
    assert not any(word in manifest for word in PATIENT)
    [known] = json.loads(manifest)["series"]
    for name, uid in known["files"].items():
        assert pydicom.dcmread(out / "series-1" / name).SOPInstanceUID == uid


def test_what_is_there_already_isnt_fetched_again(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, folder: Path, tmp_path: Path
) -> None:
    series = series_in(orthanc, folder)
    out = tmp_path / "out"
    pull_series(server, [series], out)
    whole = files_in(out)
    (out / "series-1" / "000002.dcm").unlink()
    (out / "series-1" / ".incoming.x.partial").write_bytes(b"left by a kill")
    proxy.log.clear()
    [pulled] = pull_series(server, [series], out)
    assert (pulled.fetched, pulled.kept) == (1, 4)
    assert [each.path.count("/instances/") for each in fetches(proxy)] == [1]
    assert files_in(out) == whole
    assert not list(out.rglob(".*"))
    proxy.log.clear()
    [again] = pull_series(server, [series], out)
    assert (again.fetched, again.kept, fetches(proxy)) == (0, 5, [])


def test_images_that_arrived_since_are_added_behind(
    orthanc: Orthanc, server: PacsServer, folder: Path, tmp_path: Path
) -> None:
    study, files = write_study(folder, slices=4)
    orthanc.add(files[:2])
    series = SeriesEntry(study, pydicom.dcmread(files[0]).SeriesInstanceUID)
    out = tmp_path / "out"
    pull_series(server, [series], out)
    before = {path: path.read_bytes() for path in out.rglob("*.dcm")}
    orthanc.add(files[2:])
    [pulled] = pull_series(server, [series], out)
    assert (pulled.fetched, pulled.kept) == (2, 2)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert files_in(out) == sorted(path.read_bytes() for path in files)


@pytest.mark.parametrize("announced", [None, -1])
def test_an_answer_that_breaks_off_is_gone_on_with_where_it_broke(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, folder: Path, tmp_path: Path, announced: int | None
) -> None:
    """Whether the length was said, or the connection's end is all that could tell."""

    def cut(answer: Answer) -> Answer:
        kept = answer.body[: len(answer.body) * 6 // 10]
        return Answer(200, kept, answer.headers, len(answer.body) if announced is None else -1)

    series = series_in(orthanc, folder)
    proxy.change = of_files(cut, times=1)
    pull_series(server, [series], tmp_path / "out")
    assert files_in(tmp_path / "out") == sorted(path.read_bytes() for path in folder.iterdir())
    first, *rest = fetches(proxy)
    assert "/instances/" not in first.path
    assert 1 <= len(rest) < 5, "the files that came whole before it broke were kept"


def test_an_answer_that_breaks_off_every_time_is_given_up_without_half_a_file(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, folder: Path, tmp_path: Path
) -> None:
    series = series_in(orthanc, folder, slices=1)
    proxy.change = of_files(lambda answer: Answer(200, answer.body[:-60], answer.headers, -1))
    with pytest.raises(PacsBusyError, match="the answer broke off"):
        pull_series(server, [series], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "series-1").iterdir()] == []


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda _: Answer(200, b"<html>", {"Content-Type": "text/html"}), PacsError, "got text/html"),
        (lambda a: Answer(200, a.body, {}), PacsError, "expected DICOM files"),
        (
            lambda a: Answer(200, a.body.replace(b"DICM", b"XXXX"), a.headers),
            PacsError,
            "expected DICOM files, got something else",
        ),
        (
            lambda a: Answer(200, a.body.replace(b".3680043.8.498.", b".3680043.8.499."), {**a.headers}),
            PacsError,
            "expected images of one series, got one of another",
        ),
    ],
)
def test_what_isnt_this_series_is_refused(
    orthanc: Orthanc,
    server: PacsServer,
    proxy: Proxy,
    folder: Path,
    tmp_path: Path,
    change: Callable[[Answer], Answer],
    kind: type[PacsError],
    words: str,
) -> None:
    series = series_in(orthanc, folder)
    proxy.change = of_files(change)
    with pytest.raises(kind, match=words) as error:
        pull_series(server, [series], tmp_path / "out")
    assert not any(word in str(error.value) for word in PATIENT)
    assert files_in(tmp_path / "out") == []
    assert len(fetches(proxy)) == 1


def test_a_single_file_without_a_wrapping_is_taken_too(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, folder: Path, tmp_path: Path
) -> None:
    series = series_in(orthanc, folder, slices=1)
    [path] = folder.iterdir()
    bare = Answer(200, path.read_bytes(), {"Content-Type": "application/dicom"})
    proxy.change = of_files(lambda _: bare)
    pull_series(server, [series], tmp_path / "out")
    assert files_in(tmp_path / "out") == [path.read_bytes()]


def test_a_server_that_lists_more_than_it_sends_is_told_so(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, folder: Path, tmp_path: Path
) -> None:
    series = series_in(orthanc, folder)
    kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    proxy.change = of_files(lambda _: Answer(200, b"--b--", kind))
    with pytest.raises(PacsBusyError, match="expected 5 images of a series, got 0"):
        pull_series(server, [series], tmp_path / "out")


def test_a_folder_with_another_study_is_left_alone(
    orthanc: Orthanc, server: PacsServer, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pull_series(server, [series_in(orthanc, folder)], out)
    before = files_in(out)
    with pytest.raises(TumorlensError, match="holds another study"):
        pull_series(server, [series_in(orthanc, tmp_path / "b", seed="2")], out)
    assert files_in(out) == before
    (out / "manifest.json").write_text('{"study": "1.2", "series": [{"folder": "../..", "uid": "1"}]}')
    with pytest.raises(TumorlensError, match="expected the list of a pulled study"):
        pull_series(server, [series_in(orthanc, tmp_path / "b", seed="2")], out)
