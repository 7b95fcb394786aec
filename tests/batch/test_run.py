"""An archive in, one row a scan out."""

import os
import shutil
import sys
import threading
import time
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.batch.archives import leftovers, png, rows_of, study, told
from tumorlens.analyze import Analyzer
from tumorlens.batch import BatchOptions, Summary, naming, run_batch, work
from tumorlens.batch.archive import open_archive
from tumorlens.batch.destination import Destination
from tumorlens.batch.progress import Progress
from tumorlens.batch.report import ChunkReport
from tumorlens.batch.rows import SCHEMA
from tumorlens.errors import TumorlensError
from tumorlens.finding.document import document
from tumorlens.finding.write import Format, WriteOptions
from tumorlens.scan import archive as scan_archive
from tumorlens.scan import read_scan
from tumorlens.tumor_type import TumorType


def go(source: Path | str, out: Path, **options: object) -> Summary:
    return run_batch(str(source), str(out), BatchOptions(**options))  # type: ignore[arg-type]


class Stop:
    """A watcher that stops the run after so many parts."""

    def __init__(self, after: int) -> None:
        self.left = after

    def changed(self, progress: Progress, report: ChunkReport | None) -> None:
        self.left -= report is not None
        if self.left == 0:
            raise KeyboardInterrupt

    def ended(self, progress: Progress, words: str) -> None:
        self.words = words


def test_each_input_has_one_row(archive: Path, tmp_path: Path) -> None:
    summary = go(archive, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert [row["source"] for row in rows] == [
        *("a/picture.png", "a/slice-0.mat", "a/slice-2.mat", "a/slice-4.mat", "b/broken.png"),
        *("b/slice-1.mat", "b/slice-3.mat", "b/slice-5.mat"),
        rows[-1]["source"],
    ]
    assert (summary.units, summary.scans, summary.failed, summary.before) == (9, 9, 1, 0)
    assert pq.read_schema(next((tmp_path / "out" / "rows").iterdir())).equals(SCHEMA)
    assert all(field.metadata[b"description"] for field in SCHEMA)


def test_a_row_says_what_the_analyzer_says(archive: Path, tmp_path: Path) -> None:
    go(archive, tmp_path / "out")
    row = next(row for row in rows_of(tmp_path / "out") if row["source"] == "a/slice-2.mat")
    finding = Analyzer().analyze(read_scan(archive / "a" / "slice-2.mat"))
    known = document(finding)
    assert row["status"] == "ok"
    assert row["error"] is None
    assert row["tumor_type"] == known["tumor_type"]
    probabilities = [row[f"probability_{each.name.lower()}"] for each in TumorType]
    assert probabilities == pytest.approx(
        [known["probabilities"][each.title] for each in TumorType], abs=1e-4
    )
    assert row["tumor_pixels"] == pytest.approx(known["tumor_pixels"], rel=0.01)
    assert row["area_mm2"] == pytest.approx(known["area_mm2"], rel=0.01)
    assert row["longest_mm"] == pytest.approx(known["diameters"]["longest_mm"], abs=1)
    assert row["strangeness"] == pytest.approx(finding.strangeness, abs=1e-4)
    assert (row["slices"], row["rows"], row["columns"]) == finding.scan.shape
    assert row["warnings"] == [each.kind for each in finding.warnings]
    assert (row["model"], row["tumorlens"]) == (known["model"], known["tumorlens"])
    assert min(row["read_seconds"], row["analyse_seconds"], row["fetch_seconds"]) >= 0


def test_a_study_is_one_row_with_a_volume(archive: Path, tmp_path: Path) -> None:
    go(archive, tmp_path / "out")
    row = next(row for row in rows_of(tmp_path / "out") if row["slices"] == 3)
    assert row["status"] == "ok"
    assert row["volume_mm3"] is not None
    assert row["series"]


def test_a_bad_input_is_a_row_with_its_error(archive: Path, tmp_path: Path) -> None:
    (archive / "b" / "empty.mat").touch()
    (archive / "b" / "nowhere.png").symlink_to(archive / "gone.png")
    (archive / "c").mkdir()
    (archive / "c" / "cut.dcm").write_bytes(b"\0" * 200)
    go(archive, tmp_path / "out")
    errors = {row["source"]: row["error"] for row in rows_of(tmp_path / "out") if row["status"] == "failed"}
    assert set(errors) == {"b/broken.png", "b/empty.mat", "b/nowhere.png", "c"}
    assert errors["b/broken.png"].startswith("b/broken.png: expected a MATLAB v7.3 slice, a PNG")
    assert errors["b/nowhere.png"] == "b/nowhere.png: can't be read: No such file or directory"
    assert errors["c"] == "c/cut.dcm: expected a DICOM file, got something else"
    assert not any(str(tmp_path) in error or "tumorlens-batch" in error for error in errors.values())


def test_a_wrong_file_beside_a_study_has_a_row_of_its_own(tmp_path: Path) -> None:
    study(tmp_path / "archive" / "one")
    (tmp_path / "archive" / "one" / "cut.dcm").write_bytes(b"cut")
    go(tmp_path / "archive", tmp_path / "out")
    assert [(row["scan"], row["status"]) for row in rows_of(tmp_path / "out")] == [(1, "ok"), (2, "failed")]


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
def test_a_name_that_results_cannot_have_costs_its_input_alone(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    png(archive / "a.png")
    png(archive / "a.png.json" / "b.png")  # where the other's result is
    png(archive / f"{'n' * 245}.png")
    png(archive / os.fsdecode(b"b\xfcd.png"))
    go(archive, tmp_path / "out", formats=(Format.JSON,), workers=1)
    told = {row["source"]: (row["status"], row["error"]) for row in rows_of(tmp_path / "out")}
    assert len(told) == 4
    assert told["b?d.png"][0] == "ok"
    assert {told[name][0] for name in ("a.png", "a.png.json/b.png")} == {"ok", "failed"}
    status, error = told[f"{'n' * 245}.png"]
    assert (status, error) == (
        "failed",
        "its results can't have its name: File name too long; give it another, or a shorter one",
    )


def test_two_scans_alike_of_one_patient_have_files_of_their_own(tmp_path: Path) -> None:
    for name in ("Erika_1", "Erika_2"):
        study(tmp_path / "archive" / name, PatientName="Muster^Erika", StudyInstanceUID=f"1.2.{name[-1]}")
    go(tmp_path / "archive", tmp_path / "out", formats=(Format.JSON,))
    one, two = rows_of(tmp_path / "out")
    assert one["source"] != two["source"]
    assert one["source"].startswith("scan-")
    assert not {*one["files"]} & {*two["files"]}
    assert one["files"][0].startswith(f"files/{one['source']}/")


def test_many_damaged_files_of_a_folder_are_told_by_one_look_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    known = naming.header_of
    monkeypatch.setattr(work, "header_of", lambda *given: looked.append(given) or known(*given))
    study(tmp_path / "archive" / "one")
    for number in range(20):
        (tmp_path / "archive" / "one" / f"{number}.dcm").touch()
    go(tmp_path / "archive", tmp_path / "out")
    assert [row["status"] for row in rows_of(tmp_path / "out")] == ["ok"] + ["failed"] * 20
    assert len(looked) == 1


def test_a_folder_url_s_results_in_it_are_no_scans(tmp_path: Path) -> None:
    png(tmp_path / "archive" / "a.png")
    for _ in range(2):
        url = (tmp_path / "archive").as_uri()
        summary = go(url, tmp_path / "archive" / "out", formats=(Format.OVERLAY,))
    assert (summary.scans, summary.before) == (0, 1)
    go(tmp_path / "archive", tmp_path / "archive" / "out", formats=(Format.OVERLAY,))  # the same place


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_a_list_may_begin_with_a_mark_and_name_its_own_folder(tmp_path: Path, encoding: str) -> None:
    png(tmp_path / "a.png")
    png(tmp_path / "b" / "c.png")
    (tmp_path / "list.txt").write_text("a.png\n.\nb\n", encoding)
    go(tmp_path / "list.txt", tmp_path / "out")
    assert [row["source"] for row in rows_of(tmp_path / "out")] == ["a.png", "b/c.png"]


def test_a_list_in_another_encoding_is_refused(tmp_path: Path) -> None:
    png(tmp_path / "a.png")
    (tmp_path / "list.txt").write_text("a.png\n", "utf-16")
    with pytest.raises(TumorlensError, match="expected a list in UTF-8"):
        go(tmp_path / "list.txt", tmp_path / "out")


def test_folders_too_deep_in_each_other_are_a_row(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "deep.zip", "w") as archive:
        archive.write(png(tmp_path / "a.png"), "a.png")
        archive.writestr("d/" * 1500 + "b.png", b"")
    go(tmp_path / "deep.zip", tmp_path / "out")
    one, deep = rows_of(tmp_path / "out")
    assert (one["source"], one["status"]) == ("a.png", "ok")
    assert "expected at most 100 folders in each other" in deep["error"]


def test_a_source_without_scans_leaves_the_results_folder_to_others(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    stop = Stop(9)
    with pytest.raises(TumorlensError, match="found none"):
        run_batch(str(tmp_path / "empty"), str(tmp_path / "out"), watchers=[stop])
    assert stop.words == "failed"
    png(tmp_path / "archive" / "a.png")
    assert go(tmp_path / "archive", tmp_path / "out").scans == 1


@pytest.mark.parametrize("text", ["[1]", '{"schema_ver'])
def test_a_damaged_note_of_what_results_depend_on_is_refused(tmp_path: Path, text: str) -> None:
    png(tmp_path / "archive" / "a.png")
    go(tmp_path / "archive", tmp_path / "out")
    (tmp_path / "out" / "batch.json").write_text(text)
    with pytest.raises(
        TumorlensError, match=r"batch\.json: expected what rows depend on, got a damaged file"
    ):
        go(tmp_path / "archive", tmp_path / "out")


def test_watchers_are_told_that_time_has_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tumorlens.batch.run._TELL_EVERY", 0)
    png(tmp_path / "archive" / "a.png")
    told = []

    class Told(Stop):
        def changed(self, progress: Progress, report: ChunkReport | None) -> None:
            told.append(report)

    options = BatchOptions(workers=1)
    run_batch(str(tmp_path / "archive"), str(tmp_path / "out"), options, [Told(0)])
    assert told[0] is None
    assert len([report for report in told if report]) == 1


def test_every_watcher_is_told_the_end_whatever_is_wrong_with_another(tmp_path: Path) -> None:
    png(tmp_path / "archive" / "a.png")

    class Full(Stop):
        def ended(self, progress: Progress, words: str) -> None:
            raise OSError("full")

    last = Stop(9)
    with pytest.raises(OSError, match="full"):
        run_batch(str(tmp_path / "archive"), str(tmp_path / "out"), watchers=[Full(9), last])
    assert last.words == "done"


def test_what_a_zip_holds_lies_where_the_next_run_tidies_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill would leave it there, and it names the patient."""
    folders = []
    unpack = scan_archive._unpack

    def noting(path: Path, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path) -> None:
        folders.append(folder)
        unpack(path, archive, members, folder)

    monkeypatch.setattr(scan_archive, "_unpack", noting)
    (tmp_path / "archive").mkdir()
    with zipfile.ZipFile(tmp_path / "archive" / "study.zip", "w") as archive:
        for path in study(tmp_path / "study"):
            archive.write(path, path.name)
    assert go(tmp_path / "archive", tmp_path / "out").failed == 0
    assert [folder.parent for folder in folders] == [tmp_path / "out" / ".staging"]
    assert not leftovers(tmp_path / "out")


def test_results_of_other_runs_are_no_scans(tmp_path: Path) -> None:
    png(tmp_path / "archive" / "a.png")
    for out in ("one", "two"):
        go(tmp_path / "archive", tmp_path / "archive" / out, formats=(Format.OVERLAY,))
        assert [row["source"] for row in rows_of(tmp_path / "archive" / out)] == ["a.png"]


def test_results_need_a_folder_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = png(tmp_path / "archive" / "a.png")
    monkeypatch.chdir(tmp_path)
    for out, words in (("archive", "got that of the scans"), (path, "got a file")):
        with pytest.raises(TumorlensError, match=f"expected a folder .*{words}"):
            go("archive", Path(out))
    with pytest.raises(TumorlensError, match="expected a source of scans, got an empty text"):
        go("", tmp_path / "out")


def test_an_error_that_nobody_thought_of_is_a_row(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyze = Analyzer.analyze_batch

    def poisoned(self: Analyzer, scans: list[object]) -> list[object]:
        if any(scan.source.name == "slice-2.mat" for scan in scans):  # type: ignore[attr-defined]
            raise ZeroDivisionError("poison")
        return analyze(self, scans)  # type: ignore[arg-type, return-value]

    def alone(self: Analyzer, scan: object, **more: object) -> object:
        if scan.source.name == "slice-2.mat":  # type: ignore[attr-defined]
            raise ZeroDivisionError("poison")
        return analyze(self, [scan])[0]  # type: ignore[list-item]

    monkeypatch.setattr(Analyzer, "analyze_batch", poisoned)
    monkeypatch.setattr(Analyzer, "analyze", alone)
    go(archive, tmp_path / "out")
    errors = {row["source"]: row["error"] for row in rows_of(tmp_path / "out") if row["status"] == "failed"}
    assert errors.pop("a/slice-2.mat") == "unexpected ZeroDivisionError: poison"
    assert set(errors) == {"b/broken.png"}, "those that were looked at together have their findings"


def test_files_lie_where_their_scans_lay(archive: Path, tmp_path: Path) -> None:
    go(archive, tmp_path / "out", formats=(Format.JSON, Format.MASK))
    rows = rows_of(tmp_path / "out")
    written = {
        each.relative_to(tmp_path / "out").as_posix() for each in (tmp_path / "out" / "files").rglob("*.*")
    }
    assert {file for row in rows for file in row["files"]} == written
    assert {"files/a/slice-0.mat.json", "files/a/slice-0.mat-mask.png"} <= written
    assert all(row["files"] for row in rows if row["status"] == "ok")
    assert not leftovers(tmp_path / "out")


def test_two_files_of_one_stem_do_not_share_results(tmp_path: Path, slice_paths: list[Path]) -> None:
    png(tmp_path / "archive" / "one.png")
    shutil.copyfile(slice_paths[0], tmp_path / "archive" / "one.mat")
    go(tmp_path / "archive", tmp_path / "out", formats=(Format.JSON,))
    files = [row["files"] for row in rows_of(tmp_path / "out")]
    assert files == [["files/one.mat.json"], ["files/one.png.json"]]


def test_names_that_tell_whose_scan_it_is_are_neutral(archive: Path, tmp_path: Path) -> None:
    go(archive, tmp_path / "out", formats=(Format.JSON, Format.HTML))
    everything = "".join(map(str, rows_of(tmp_path / "out"))) + "".join(
        map(str, (tmp_path / "out").rglob("*"))
    )
    contents = b"".join(each.read_bytes() for each in (tmp_path / "out" / "files").rglob("*.*"))
    for secret in ("Muster", "Erika", "PID-4711"):
        assert secret not in everything
        assert secret.encode() not in contents
    go(archive, tmp_path / "named", write=WriteOptions(keep_identity=True))
    assert "Muster Erika" in [row["source"] for row in rows_of(tmp_path / "named")]


def test_what_has_rows_is_not_done_again(archive: Path, tmp_path: Path) -> None:
    go(archive, tmp_path / "out")
    before = {each: each.stat().st_mtime_ns for each in (tmp_path / "out" / "rows").iterdir()}
    summary = go(archive, tmp_path / "out")
    assert (summary.before, summary.scans) == (9, 0)
    assert {each: each.stat().st_mtime_ns for each in (tmp_path / "out" / "rows").iterdir()} == before


def test_a_stopped_run_goes_on_where_it_was(archive: Path, tmp_path: Path) -> None:
    watcher = Stop(after=2)
    with pytest.raises(KeyboardInterrupt):
        run_batch(str(archive), str(tmp_path / "out"), BatchOptions(chunk=1, workers=1), [watcher])
    assert watcher.words == "stopped"
    done = len(rows_of(tmp_path / "out"))
    assert 2 <= done < 9
    summary = go(archive, tmp_path / "out", chunk=1)
    assert summary.before == done
    go(archive, tmp_path / "whole", chunk=1)
    assert told(rows_of(tmp_path / "out")) == told(rows_of(tmp_path / "whole"))


def test_what_came_meanwhile_is_added_and_nothing_doubled(archive: Path, tmp_path: Path) -> None:
    go(archive, tmp_path / "out", chunk=2)
    png(archive / "a" / "aaa.png", level=180)
    png(archive / "b" / "later.png", level=190)
    assert go(archive, tmp_path / "out", chunk=2).scans == 2
    units = [row["unit"] for row in rows_of(tmp_path / "out")]
    assert len(units) == len(set(units)) == 11


def test_a_file_that_changed_is_looked_at_again(archive: Path, tmp_path: Path) -> None:
    go(archive, tmp_path / "out")
    png(archive / "b" / "broken.png")
    assert go(archive, tmp_path / "out").scans == 1
    states = [row["status"] for row in rows_of(tmp_path / "out") if row["source"] == "b/broken.png"]
    assert sorted(states) == ["failed", "ok"]


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_what_failed_is_analysed_again_when_asked_and_nothing_else(
    archive: Path, tmp_path: Path, chunk: int
) -> None:
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Analyzer, "analyze", _failing)  # the study: pictures are looked at together
        assert go(archive, out, chunk=chunk).failed == 2
    times = {row["unit"]: row["read_seconds"] for row in rows_of(out) if row["status"] == "ok"}
    assert go(archive, out, chunk=chunk).scans == 0
    summary = go(archive, out, chunk=chunk, retry_failed=True)
    assert (summary.before, summary.failed_before, summary.scans, summary.failed) == (7, 0, 2, 1)
    rows = rows_of(out)
    assert {row["unit"]: row["read_seconds"] for row in rows if row["unit"] in times} == times
    go(archive, tmp_path / "whole", chunk=chunk)
    assert told(rows) == told(rows_of(tmp_path / "whole"))


def _failing(*_: object, **__: object) -> None:
    raise RuntimeError("out of memory")


def test_a_run_killed_before_it_retried_leaves_the_failed_undone(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    go(archive, out, chunk=1)
    destination = Destination(str(out))
    done = destination.done(with_parts=True)
    destination.forget(list(done.parts), done)
    assert len(rows_of(out)) == len(os.listdir(out / "rows")) == 8  # noqa: PTH208
    assert go(archive, out, chunk=1).scans == 1


def test_no_row_is_lost_of_what_is_not_there_to_be_tried_again(archive: Path, tmp_path: Path) -> None:
    """As where the archive's disk isn't mounted."""
    out = tmp_path / "out"
    (archive / "Muster Erika" / "cut.dcm").write_bytes(b"cut")
    go(archive, out)
    before = told(rows_of(out))
    archive.rename(tmp_path / "elsewhere")
    archive.mkdir()
    with pytest.raises(TumorlensError, match="found none"):
        go(archive, out, retry_failed=True)
    assert told(rows_of(out)) == before


def test_a_study_of_which_one_scan_failed_is_analysed_again_whole(tmp_path: Path) -> None:
    study(tmp_path / "archive" / "one")
    (tmp_path / "archive" / "one" / "cut.dcm").write_bytes(b"cut")
    go(tmp_path / "archive", tmp_path / "out")
    assert [row["status"] for row in rows_of(tmp_path / "out")] == ["ok", "failed"]
    assert go(tmp_path / "archive", tmp_path / "out", retry_failed=True).scans == 2
    assert [row["scan"] for row in rows_of(tmp_path / "out")] == [1, 2]


def test_a_mended_file_is_not_told_as_failed(archive: Path, tmp_path: Path) -> None:
    go(archive, tmp_path / "out")
    png(archive / "b" / "broken.png")
    go(archive, tmp_path / "out")
    assert (again := go(archive, tmp_path / "out")).failed_before == 0
    assert again.before == 9


def test_results_of_other_options_are_not_mixed(archive: Path, tmp_path: Path) -> None:
    go(archive, tmp_path / "out")
    with pytest.raises(TumorlensError, match="expected the same formats as before"):
        go(archive, tmp_path / "out", formats=(Format.JSON,))
    with pytest.raises(TumorlensError, match="expected the same source as before"):
        go(archive / "a", tmp_path / "out")


def test_results_inside_the_source_are_no_input(archive: Path) -> None:
    go(archive, archive / "out", formats=(Format.OVERLAY,))
    assert go(archive, archive / "out", formats=(Format.OVERLAY,)).scans == 0


def test_a_zip_has_the_rows_of_its_folder(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(archive.rglob("*")):
            file.write(path, path.relative_to(archive))
    go(archive, tmp_path / "out")
    go(tmp_path / "archive.zip", tmp_path / "zipped")
    without_keys = lambda out: [{**row, "unit": ""} for row in told(rows_of(out))]  # noqa: E731
    assert without_keys(tmp_path / "zipped") == without_keys(tmp_path / "out")


@pytest.mark.parametrize("name", ["../out.png", "/root.png", "a/../../b.png"])
def test_a_zip_whose_names_lead_out_is_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr(name, b"x")
    with pytest.raises(TumorlensError, match="leads out"):
        go(tmp_path / "bad.zip", tmp_path / "out")


def test_a_damaged_member_of_a_zip_is_a_row(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.write(archive / "a" / "slice-0.mat", "good.mat")
        file.write(archive / "a" / "slice-2.mat", "bad.mat")
    data = bytearray(path.read_bytes())
    size = (archive / "a" / "slice-0.mat").stat().st_size
    data[size + 5000] ^= 255
    path.write_bytes(data)
    go(path, tmp_path / "out")
    assert {row["source"]: row["status"] for row in rows_of(tmp_path / "out")} == {
        "good.mat": "ok",
        "bad.mat": "failed",
    }


def test_a_list_names_files_and_studies_once(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tumorlens.batch.file_list._BLOCK", 2)  # lines looked at together
    lines = [
        "archive/a/slice-0.mat",
        "archive/a/../a/slice-0.mat",
        "",
        "archive/Muster Erika",
        "archive/gone.png",
    ]
    (tmp_path / "list.txt").write_text("\n".join([*lines, str(archive / "b" / "slice-1.mat"), lines[0]]))
    go(tmp_path / "list.txt", tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 4
    assert {row["slices"] for row in rows} == {1, 3, None}
    [gone] = [row for row in rows if row["status"] == "failed"]
    assert gone["error"] == "archive/gone.png: can't be read: No such file or directory"


def test_series_of_a_study_in_folders_are_one_scan_when_asked(tmp_path: Path) -> None:
    for number in (1, 2):
        study(
            tmp_path / "archive" / "p" / f"series{number}",
            SeriesInstanceUID=f"1.2.3.{number}",
            SeriesNumber=number,
        )
    assert go(tmp_path / "archive", tmp_path / "each").scans == 2
    assert go(tmp_path / "archive", tmp_path / "together", study_depth=1).scans == 1


def test_a_folder_of_several_studies_has_a_row_each(tmp_path: Path) -> None:
    for number in (1, 2):
        for path in study(tmp_path / f"s{number}", StudyInstanceUID=f"1.2.{number}"):
            (tmp_path / "archive").mkdir(exist_ok=True)
            path.rename(tmp_path / "archive" / f"{number}{path.name}")
    go(tmp_path / "archive", tmp_path / "out", formats=(Format.JSON,))
    rows = rows_of(tmp_path / "out")
    assert [(row["scan"], row["source"]) for row in rows] == [(1, "."), (2, ".")]
    assert [row["files"] for row in rows] == [["files/study-1.json"], ["files/study-2.json"]]


def test_a_full_disk_ends_the_run_and_nothing_is_told_as_done(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tumorlens.batch.destination.write_finding", _full)
    with pytest.raises(OSError, match="No space left"):
        go(archive, tmp_path / "out", formats=(Format.JSON,))
    monkeypatch.undo()
    assert go(archive, tmp_path / "out", formats=(Format.JSON,)).scans == 9


def test_a_disk_that_is_full_while_inputs_are_unpacked_spoils_no_row(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as file:
        for path in sorted(archive.rglob("*.mat")):
            file.write(path, path.relative_to(archive))
    monkeypatch.setattr("tumorlens.batch.zip_archive.ZipArchive.fetch", _full)
    with pytest.raises(OSError, match="No space left"):
        go(tmp_path / "archive.zip", tmp_path / "out")
    monkeypatch.undo()
    summary = go(tmp_path / "archive.zip", tmp_path / "out")
    assert (summary.before, summary.failed) == (0, 0)
    assert summary.scans == 6


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_what_unpacks_to_any_size_at_once_is_a_row(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", method) as file:
        file.writestr("a.png", bytes(50_000_000))
    go(tmp_path / "bomb.zip", tmp_path / "out")
    [row] = rows_of(tmp_path / "out")
    assert "packed by deflate" in str(row["error"])


def test_a_zip_with_one_name_for_a_file_and_a_folder_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as file:
        for name in ("a/b.png", "a"):
            file.writestr(name, b"x")
    with pytest.raises(TumorlensError, match="to be a file or a folder, got 'a' as both"):
        go(tmp_path / "odd.zip", tmp_path / "out")


def test_a_damaged_part_is_named(archive: Path, tmp_path: Path) -> None:
    go(archive, tmp_path / "out")
    [part, *_] = (tmp_path / "out" / "rows").iterdir()
    part.write_bytes(part.read_bytes()[:500])
    with pytest.raises(TumorlensError, match=rf"{part.name}: expected rows in Parquet"):
        go(archive, tmp_path / "out")
    part.unlink()
    assert go(archive, tmp_path / "out").units == 9


def test_results_stay_in_one_folder_wherever_a_worker_runs(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moving(Stop):
        def changed(self, progress: Progress, report: ChunkReport | None) -> None:
            monkeypatch.chdir(tmp_path / "elsewhere")

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    run_batch(str(archive), "out", BatchOptions(chunk=2), [Moving(after=0)])
    assert len(rows_of(tmp_path / "out")) == 9
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_file_url_is_a_folder_of_this_machine(archive: Path, tmp_path: Path) -> None:
    go(archive, (tmp_path / "o u t").as_uri())  # type: ignore[arg-type]
    assert len(rows_of(tmp_path / "o u t")) == 9


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_folder_without_scans_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TumorlensError, match="expected scans"):
        go(tmp_path / "empty", tmp_path / "out")


def test_one_run_at_a_time_writes_to_a_folder(archive: Path, tmp_path: Path) -> None:
    class Second(Stop):
        def changed(self, progress: Progress, report: ChunkReport | None) -> None:
            with pytest.raises(TumorlensError, match="one run at a time"):
                go(archive, tmp_path / "out")
            self.left = -100

    watcher = Second(after=100)
    run_batch(str(archive), str(tmp_path / "out"), None, [watcher])
    assert watcher.left == -100


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_may_not_be_listed_is_a_row(archive: Path, tmp_path: Path) -> None:
    (archive / "closed").mkdir(mode=0)
    go(archive, tmp_path / "out")
    assert "closed" in [row["source"] for row in rows_of(tmp_path / "out") if row["status"] == "failed"]


def test_a_study_that_cannot_be_read_tells_nobodys_name(tmp_path: Path) -> None:
    for path in study(tmp_path / "archive" / "Muster Erika", SeriesDescription="Muster head"):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - 4000])
    go(tmp_path / "archive", tmp_path / "out")
    [row] = rows_of(tmp_path / "out")
    assert row["status"] == "failed"
    assert "Muster" not in str(row)
    assert row["source"].startswith("scan-")
    go(tmp_path / "archive", tmp_path / "named", write=WriteOptions(keep_identity=True))
    assert rows_of(tmp_path / "named")[0]["source"] == "Muster Erika"


def test_what_is_no_scan_by_its_name_has_no_row(archive: Path, tmp_path: Path) -> None:
    (archive / "docs").mkdir()
    for name in ("README", "LICENSE", "table.csv", ".hidden"):
        (archive / "docs" / name).write_text("text")
    assert go(archive, tmp_path / "out").scans == 9


def test_urls_of_a_list_are_asked_about_at_once_and_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    names = [f"memory://many/{number}.png" for number in (*range(40), 3)]
    for name in names:
        store.pipe(name, name.encode())
    asked: list[int] = []
    now = threading.Semaphore(32)
    info = type(store).info

    def slow_info(self: object, path: str, **known: object) -> object:
        with now:
            asked.append(32 - now._value)
            time.sleep(0.02)
            return info(self, path, **known)

    monkeypatch.setattr(type(store), "info", slow_info)
    listed = tmp_path / "scans.txt"
    listed.write_text("\n".join([*names[:20], "here.png", *names[20:]]))
    units = list(open_archive(str(listed)).units(None))
    assert [unit.place for unit in units] == [*names[:20], "here.png", *names[20:-1]]
    assert max(asked) > 8
    assert units[5].files[0].size == len(names[5])
