"""``tumorlens batch``: exit codes, logs, numbers and the picture of where the time went."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.batch.archives import rows_of, study
from tests.command_line import Tumorlens, assert_refused

_find_spec = importlib.util.find_spec


def _without(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def find(name: str, package: str | None = None) -> Any:
        return None if name == missing else _find_spec(name, package)

    monkeypatch.setattr("importlib.util.find_spec", find)


def test_some_failed_is_exit_code_one(archive: Path, tmp_path: Path, tumorlens: Tumorlens) -> None:
    code, out, err = tumorlens(
        "batch", str(archive), "--out", str(tmp_path / "out"), "--write", "json,overlay"
    )
    assert code == 1
    assert out == "8 scans done, 1 failed\n"
    assert err.startswith("tumorlens: b/broken.png: expected")
    assert len(rows_of(tmp_path / "out")) == 9
    code, out, err = tumorlens(
        "batch", str(archive), "--out", str(tmp_path / "out"), "--write", "overlay,json"
    )
    told = "9 inputs done before, of which 1 failed (--retry-failed tries them again)"
    assert (code, out, err) == (0, f"0 scans done, 0 failed, {told}\n", "")
    code, out, err = tumorlens(
        *("batch", str(archive), "--out", str(tmp_path / "out"), "--write", "json,overlay", "--retry-failed"),
    )
    assert (code, out) == (2, "0 scans done, 1 failed, 8 inputs done before\n")
    assert len(rows_of(tmp_path / "out")) == 9


def test_all_failed_is_exit_code_two_and_none_is_zero(
    archive: Path, tmp_path: Path, tumorlens: Tumorlens
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "one.png").write_bytes(b"bad")
    assert tumorlens("batch", str(tmp_path / "bad"), "--out", str(tmp_path / "out"))[0] == 2
    (archive / "b" / "broken.png").unlink()
    assert tumorlens("batch", str(archive), "--out", str(tmp_path / "good"))[0] == 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("nowhere", "--out", "out"), ("nowhere",)),
        ((__file__, "--out", "out"), ("expected a folder, a zip, a list",)),
        (
            ("{archive}", "--out", "out", "--engine", "spark"),
            ("local, threads, processes, ray", "spark"),
        ),
        (("{archive}", "--out", "out", "--address", "auto"), ("--engine ray with --address",)),
        (("{archive}", "--out", "out", "--write", "tiff"), ("expected a format", "tiff")),
        (("{archive}", "--out", "nothing://x/y"), ("expected a URL that fsspec knows",)),
    ],
)
def test_a_mistake_is_one_line(
    words: tuple[str, ...], named: tuple[str, ...], archive: Path, tumorlens: Tumorlens
) -> None:
    assert_refused(tumorlens("batch", *(word.format(archive=archive) for word in words)), *named)


@pytest.mark.parametrize(
    ("missing", "more", "line"),
    [
        ("pyarrow", (), "pip install 'tumorlens[batch]'"),
        ("fsspec", (), "pip install 'tumorlens[batch]'"),
        ("ray", ("--engine", "ray"), "pip install 'tumorlens[cluster]'"),
    ],
)
def test_a_missing_extra_is_named_with_its_line(
    missing: str,
    more: tuple[str, ...],
    line: str,
    archive: Path,
    tumorlens: Tumorlens,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _without(monkeypatch, missing)
    assert_refused(tumorlens("batch", str(archive), "--out", "out", *more), line)


def test_the_log_is_one_object_a_line_and_names_nobody(
    archive: Path, tmp_path: Path, tumorlens: Tumorlens
) -> None:
    (archive / "Muster^Erika.png").write_bytes(b"bad")
    code, out, err = tumorlens(
        "batch", str(archive), "--out", str(tmp_path / "out"), "--log-json", "--chunk", "4"
    )
    assert (code, out) == (1, "")
    events = [json.loads(line) for line in err.splitlines()]
    assert {event["event"] for event in events} == {"start", "part", "failed", "progress", "end"}
    assert events[-1]["scans"] == 10
    assert events[-1]["result"] == "done"
    failed = {event["unit"] for event in events if event["event"] == "failed"}
    assert failed == {row["unit"] for row in rows_of(tmp_path / "out") if row["status"] == "failed"}
    assert "Muster" not in err
    assert str(tmp_path) not in err


def test_a_failure_is_told_with_its_place(tmp_path: Path, tumorlens: Tumorlens) -> None:
    (tmp_path / "archive" / "deep").mkdir(parents=True)
    (tmp_path / "archive" / "deep" / "cut.dcm").write_bytes(b"cut")
    _, _, err = tumorlens("batch", str(tmp_path / "archive"), "--out", str(tmp_path / "out"))
    assert err == "tumorlens: deep/cut.dcm: expected a DICOM file, got something else\n"


def test_a_mistake_is_an_object_in_the_log(tumorlens: Tumorlens) -> None:
    code, _, err = tumorlens("batch", "nowhere", "--out", "out", "--log-json")
    assert code == 2
    assert [json.loads(line)["event"] for line in err.splitlines()][-1] == "error"


def test_trouble_with_a_file_is_an_object_in_the_log(
    archive: Path, tmp_path: Path, tumorlens: Tumorlens
) -> None:
    (tmp_path / "Muster_Erika").touch()
    code, out, err = tumorlens("batch", archive, "--out", tmp_path / "Muster_Erika" / "out", "--log-json")
    assert (code, out) == (2, "")
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["start", "error"]
    assert "Muster" not in err


@pytest.mark.parametrize("option", ["--metrics-file", "--profile"])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    archive: Path, tmp_path: Path, tumorlens: Tumorlens, option: str
) -> None:
    words = ("batch", archive, "--out", tmp_path / "out", option)
    for path in (tmp_path, tmp_path / "nowhere" / "file"):
        assert_refused(tumorlens(*words, path), f"{path}: expected a file in a folder that exists")
    assert not (tmp_path / "out").exists()


def test_numbers_are_kept_for_prometheus(archive: Path, tmp_path: Path, tumorlens: Tumorlens) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    tumorlens(
        "batch", str(archive), "--out", str(tmp_path / "out"), "--metrics-file", str(tmp_path / "b.prom")
    )
    families = text_string_to_metric_families((tmp_path / "b.prom").read_text())
    values = {
        (each.name, *each.labels.values()): each.value for family in families for each in family.samples
    }
    assert values["tumorlens_batch_scans_total", "ok"] == 8
    assert values["tumorlens_batch_scans_total", "failed"] == 1
    assert values["tumorlens_batch_slices_total",] == 10
    assert values["tumorlens_batch_inputs",] == 9
    assert values["tumorlens_batch_running",] == 0
    assert values["tumorlens_batch_stage_seconds_total", "analyse"] > 0


def test_the_profile_shows_each_stage_and_fetches_nothing(
    archive: Path, tmp_path: Path, tumorlens: Tumorlens
) -> None:
    picture = tmp_path / "profile.html"
    tumorlens(
        "batch", str(archive), "--out", str(tmp_path / "out"), "--profile", str(picture), "--chunk", "2"
    )
    page = picture.read_text()
    assert page.count("<svg") == 2
    for words in ("listing the source", "reading and decoding", "analysing", "writing rows and files"):
        assert words in page
    assert not re.search(r"https?:|src=|href=|@import|url\(|<script", page)
    shares = [float(each) for each in re.findall(r"<td>([\d.]+)%</td>", page)]
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_a_series_of_a_study_can_be_chosen(tmp_path: Path, tumorlens: Tumorlens) -> None:
    for number in (1, 2):
        more = {"SeriesInstanceUID": f"1.2.3.{number}", "SeriesDescription": f"t1 number {number}"}
        study(tmp_path / "archive" / "p" / f"s{number}", **more)
    words = ("--study-depth", "1", "--series", "number 2")
    assert tumorlens("batch", str(tmp_path / "archive"), "--out", str(tmp_path / "out"), *words)[0] == 0
    [row] = rows_of(tmp_path / "out")
    assert "number 2" in row["series"]


def test_a_core_install_is_told_what_is_missing(archive: Path, tmp_path: Path) -> None:
    """Without the libraries, not only with a search that doesn't find them."""
    run = (
        "import sys, importlib.util as util\n"
        "for name in ('fsspec', 'pyarrow'): sys.modules[name] = None\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name in ('fsspec', 'pyarrow') else find(name, *more)\n"
        f"sys.argv = ['tumorlens', 'batch', {str(archive)!r}, '--out', {str(tmp_path / 'out')!r}]\n"
        "from tumorlens.__main__ import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.endswith("install them with: pip install 'tumorlens[batch]'")
