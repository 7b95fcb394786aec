"""A finding becomes the files asked for, under the names promised."""

import contextlib
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.dicom_files import write_series
from tests.stand_ins import Namer, Outliner, Pointer, Saying, block
from tumorlens.analyze import Analyzer
from tumorlens.ensemble import Ensemble, Outputs
from tumorlens.errors import TumorlensError
from tumorlens.finding import Finding
from tumorlens.finding.write import DEFAULT_FORMATS, Format, as_format
from tumorlens.scan import Scan, read_scan

ENDINGS = {
    Format.OVERLAY: "-overlay.png",
    Format.HEATMAP: "-heatmap.png",
    Format.JSON: ".json",
    Format.HTML: ".html",
    Format.NIFTI: "-mask.nii.gz",
    Format.SEG: "-seg.dcm",
    Format.CAPTURE: "-capture.dcm",
}


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory) -> Finding:
    """Of a DICOM series of three slices."""
    folder = tmp_path_factory.mktemp("series") / "case"
    write_series(folder, (np.stack([block((48, 48))] * 3) * 900).astype(np.int16))
    return Analyzer(Ensemble([Outliner(), Pointer()], name="mine")).analyze(read_scan(folder))


@pytest.mark.parametrize(("format_", "ending"), ENDINGS.items())
def test_a_format_is_one_file_of_a_known_name(
    format_: Format, ending: str, finding: Finding, tmp_path: Path
) -> None:
    assert finding.write(tmp_path / "out", [format_]) == [tmp_path / "out" / f"case{ending}"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"case{ending}"]


def test_masks_are_one_a_slice(finding: Finding, tmp_path: Path) -> None:
    assert finding.write(tmp_path, ["mask"]) == [tmp_path / "case-mask" / f"{n}.png" for n in (1, 2, 3)]


def test_a_report_for_the_archive_comes_with_the_segmentation_that_it_refers_to(
    finding: Finding, tmp_path: Path
) -> None:
    files = finding.write(tmp_path, [Format.SR, Format.SEG])
    assert [path.name for path in files] == ["case-seg.dcm", "case-sr.dcm"]
    seg, report = (pydicom.dcmread(path) for path in files)
    assert seg.SOPInstanceUID in str(report)
    assert finding.write(tmp_path / "other", ["sr"]) == [
        tmp_path / "other" / name for name in ("case-seg.dcm", "case-sr.dcm")
    ]


def test_an_overlay_a_json_and_a_report_are_the_default(finding: Finding, tmp_path: Path) -> None:
    assert DEFAULT_FORMATS == (Format.OVERLAY, Format.JSON, Format.HTML)
    assert finding.write(tmp_path) == finding.write(tmp_path, DEFAULT_FORMATS)


def test_a_name_of_one_s_own_is_used(finding: Finding, tmp_path: Path) -> None:
    assert finding.write(tmp_path, ["json"], name="mine") == [tmp_path / "mine.json"]


def test_what_has_nothing_to_show_is_left_out(tmp_path: Path) -> None:
    write_series(tmp_path / "case", np.arange(3 * 64, dtype=np.int16).reshape(3, 8, 8))
    scan = read_scan(tmp_path / "case")
    named = Analyzer(Ensemble([Namer()])).analyze(scan)
    assert named.write(tmp_path / "out", ["mask", "nifti", "seg", "sr", "heatmap"]) == []
    nothing = Saying(lambda batch: Outputs(mask_logits=np.full((len(batch), 32, 32), -9, np.float32)))
    empty = Analyzer(Ensemble([nothing])).analyze(scan)
    assert [path.name for path in empty.write(tmp_path / "out", ["nifti", "seg", "sr"])] == [
        "case-mask.nii.gz"
    ]


@pytest.mark.parametrize("format_", ["seg", "sr", "capture"])
def test_dicom_is_refused_for_other_scans_before_anything_is_written(format_: str, tmp_path: Path) -> None:
    scan = Scan(np.arange(64.0).reshape(1, 8, 8), tmp_path / "a.png")
    picture = Analyzer(Ensemble([Outliner()])).analyze(scan)
    with pytest.raises(TumorlensError, match=f"a.png: expected a DICOM scan to write {format_}"):
        picture.write(tmp_path / "out", ["json", format_])
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_is_named_with_those_that_are_known() -> None:
    with pytest.raises(TumorlensError, match=r"expected a format among overlay, .*capture, got 'pdf'"):
        as_format("pdf")


def test_a_failure_leaves_no_half_file(
    finding: Finding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for format_ in Format:
        with contextlib.suppress(OSError):
            finding.write(tmp_path / "out", [format_])
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []
