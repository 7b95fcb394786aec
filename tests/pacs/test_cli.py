"""The command line with a real PACS and the real analysis."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.command_line import Tumorlens, assert_refused
from tests.dicom_files import write_series
from tests.pacs.orthanc import PASSWORD, USER, Orthanc, free_port
from tests.pacs.proxy import Answer, Proxy
from tests.pacs.studies import quick_analysis, write_real_study, write_study
from tests.pacs.test_pull import PATIENT
from tumorlens import Analyzer, read_scan
from tumorlens.finding.write import write_finding

Pacs = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pacs(tumorlens: Tumorlens, monkeypatch: pytest.MonkeyPatch) -> Pacs:
    """Runs ``tumorlens pacs`` as a user with the right password."""
    monkeypatch.setenv("TUMORLENS_PACS_PASSWORD", PASSWORD)
    return lambda *words: tumorlens("pacs", *words, "--user", USER)


def test_a_study_goes_all_the_way_and_its_results_come_back_pixel_for_pixel(
    orthanc: Orthanc, pacs: Pacs, tumorlens: Tumorlens, slices_folder: Path, tmp_path: Path
) -> None:
    """Two real slices stored, watched, analysed, their results stored and fetched."""
    studies = {}
    for number in ("326", "747"):
        uid, files = write_real_study(
            tmp_path / number, slices_folder / f"{number}.mat", number, PatientID=number
        )
        orthanc.add(files)
        studies[number] = uid
    watch = ("watch", orthanc.url, "--state", tmp_path / "watch.db", "--days", 0, "--settle", 0, "--once")
    for _ in range(3):
        code, out, err = pacs(*watch)
        assert (code, err) == (0, "")
    assert not any(word in out for word in (*PATIENT, *studies, *studies.values()))
    assert tumorlens("pacs", "status", tmp_path / "watch.db") == (0, "2 done\n", "")
    for number, uid in studies.items():
        code, out, err = pacs(
            "pull", orthanc.url, "--patient", number, "--all", "--out", tmp_path / f"back{number}"
        )
        assert (code, err) == (0, "")
        back = {
            dataset.Modality: dataset
            for dataset in map(pydicom.dcmread, (tmp_path / f"back{number}").rglob("*.dcm"))
        }
        assert sorted(back) == ["MR", "SEG", "SR"]
        finding = Analyzer().analyze(read_scan(tmp_path / number))
        [here, *_] = write_finding(finding, tmp_path, number, ["seg"])
        assert np.array_equal(back["SEG"].pixel_array, pydicom.dcmread(here).pixel_array)
        assert back["SEG"].pixel_array.sum() == sum(finding.tumor_pixels or ()) > 500
        assert back["SR"].StudyInstanceUID == back["SEG"].StudyInstanceUID == uid


def test_what_is_pushed_is_found_and_comes_back_byte_for_byte(
    orthanc: Orthanc, pacs: Pacs, tmp_path: Path
) -> None:
    uid, files = write_study(tmp_path / "study")
    code, out, err = pacs("push", orthanc.url, tmp_path / "study")
    assert (code, err) == (0, "")
    assert out.count(": stored") == 2
    code, out, err = pacs("pull", orthanc.url, "--study", uid, "--out", tmp_path / "out")
    assert (code, out, err) == (
        0,
        f"{tmp_path}/out/series-1: 2 files fetched, 0 were there already\n",
        "",
    )
    back = sorted(path.read_bytes() for path in (tmp_path / "out").rglob("*.dcm"))
    assert back == sorted(path.read_bytes() for path in files)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["study"] == uid


def test_several_studies_are_listed_for_the_user_to_choose(
    orthanc: Orthanc, pacs: Pacs, tmp_path: Path
) -> None:
    for number, date in enumerate(("20240302", "20240301")):
        uid, files = write_study(
            tmp_path / f"{number}", f"{number}", StudyDate=date, StudyDescription="Schädel"
        )
        orthanc.add(files)
    code, out, err = pacs("pull", orthanc.url, "--patient", "PID-4711", "--out", tmp_path / "out")
    assert code == 2
    first, second = out.splitlines()
    assert first == f"{uid}  20240301  MR  2 images  Schädel"
    assert "20240302" in second
    assert err == "tumorlens: 2 studies match; choose one by --study\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "expected --patient, --study, --accession, --date or --modality, got none"),
        (("--patient", "NOBODY-77"), "expected a study that matches, found none"),
        (("--date", "1.3.2024"), "expected a date as 20240301"),
        (("--study", "NOBODY-77"), "expected a StudyInstanceUID of digits and dots"),
        (("--all", "--series", "t1"), "expected --series or --all, got both"),
    ],
)
def test_a_pull_that_cant_be_is_refused(
    orthanc: Orthanc, pacs: Pacs, words: tuple[str, ...], said: str
) -> None:
    result = pacs("pull", orthanc.url, *words, "--out", "out")
    assert_refused(result, said)
    assert "NOBODY" not in result[2]


def test_a_wrong_password_is_one_line(
    orthanc: Orthanc, pacs: Pacs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUMORLENS_PACS_PASSWORD", "not-this")
    commands: list[tuple[object, ...]] = [
        ("pull", orthanc.url, "--patient", "PID-4711", "--out", "out"),
        ("watch", orthanc.url, "--state", tmp_path / "watch.db"),
    ]
    for words in commands:
        code, _, err = pacs(*words)
        [line] = err.splitlines()
        assert code == 2
        assert "refused (HTTP 401): who asks isn't known there" in line
        assert not any(secret in line for secret in ("not-this", "PID-4711", USER))


def test_a_server_that_isnt_there_is_one_line(
    pacs: Pacs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    url = f"http://127.0.0.1:{free_port()}/dicom-web"
    assert_refused(pacs("pull", url, "--patient", "PID-4711", "--out", "out"), "the connection failed")
    assert pauses == [1, 2, 4]


def test_exit_codes_tell_some_failures_from_all(
    orthanc: Orthanc, pacs: Pacs, proxy: Proxy, tmp_path: Path
) -> None:
    _, [good, *_] = write_study(tmp_path / "study")
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"no")
    code, out, err = pacs("push", orthanc.url, bad, good)
    assert (code, out.count("stored"), err.count("expected a DICOM file")) == (1, 1, 1)
    assert pacs("push", orthanc.url, bad)[0] == 2
    proxy.instead = lambda _: Answer(403)
    code, out, err = pacs("push", proxy.url, good)
    assert (code, out) == (2, "")
    assert "this user may not do that" in err


def test_status_lists_what_isnt_done_with_the_reason(
    orthanc: Orthanc, pacs: Pacs, tumorlens: Tumorlens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tumorlens.cli import pacs as commands

    state = tmp_path / "watch.db"
    ct, files = write_study(tmp_path / "ct", "1", Modality="CT")
    mr, more = write_study(tmp_path / "mr", "2")
    orthanc.add([*files, *more])
    fail = [True]

    def analyse(scan: Path, out: Path) -> list[Path]:
        if fail[0]:
            raise ValueError
        return list(quick_analysis(scan, out))

    monkeypatch.setattr(commands, "_analysis", lambda _: analyse)
    watch = (
        "watch",
        orthanc.url,
        "--state",
        state,
        "--days",
        0,
        "--settle",
        0,
        "--modality",
        "",
        "--once",
        "--attempts",
        1,
    )
    assert tumorlens("pacs", "status", state)[0] == 2
    for _ in range(3):
        pacs(*watch)
    code, out, _ = tumorlens("pacs", "status", state)
    first, *lines = out.splitlines()
    assert (code, first) == (0, "1 skipped, 1 failed")
    assert any("skipped: expected a study with an MR series, got series of: CT" in line for line in lines)
    assert any("failed: ValueError in the analysis" in line for line in lines)
    assert not any(uid in out for uid in (ct, mr))
    assert mr in tumorlens("pacs", "status", state, "--uids")[1]
    fail[0] = False
    assert "1 failed studies get another chance" in pacs(*watch, "--retry-failed")[1]
    pacs(*watch)
    assert tumorlens("pacs", "status", state)[1].splitlines()[0] == "1 done, 1 skipped"


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_a_watch_after_the_study_that_is_begun(
    orthanc: Orthanc, pacs: Pacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tumorlens.cli import pacs as commands

    def analyse(scan: Path, out: Path) -> list[Path]:
        os.kill(os.getpid(), signal.SIGINT)
        return list(quick_analysis(scan, out))

    orthanc.add([file for seed in "12" for file in write_study(tmp_path / seed, seed)[1]])
    monkeypatch.setattr(commands, "_analysis", lambda _: analyse)
    watch = (
        "watch",
        orthanc.url,
        "--state",
        tmp_path / "watch.db",
        "--days",
        0,
        "--settle",
        0,
        "--every",
        0.05,
    )
    code, out, err = pacs(*watch)
    assert (code, err) == (130, "tumorlens: interrupted; what was finished is whole\n")
    assert out.count("stored") == 1


def test_what_doesnt_look_like_a_brain_is_not_stored_beside_its_images(
    orthanc: Orthanc, pacs: Pacs, tumorlens: Tumorlens, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 4000, (6, 128, 128), dtype=np.uint16)
    orthanc.add(write_series(tmp_path / "noise", noise))
    watch = ("watch", orthanc.url, "--state", tmp_path / "watch.db", "--days", 0, "--settle", 0, "--once")
    for _ in range(3):
        assert pacs(*watch)[0] == 0
    _, out, _ = tumorlens("pacs", "status", tmp_path / "watch.db")
    assert "skipped: this doesn't look like a T1 contrast-enhanced brain slice; nothing was stored" in out
