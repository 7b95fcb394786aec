"""A finding as files, in the formats asked for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tumorlens.errors import TumorlensError
from tumorlens.finding.document import write_json
from tumorlens.finding.finding import Finding
from tumorlens.finding.picture import write_heatmap, write_mask, write_overlay
from tumorlens.scan import Scan
from tumorlens.scan.origin import DicomOrigin

# Writers of DICOM, NIfTI and HTML are imported only when asked for: their libraries take a while to load.


class Format(StrEnum):
    """What a finding can be written as.

    ``OVERLAY``: a PNG of the slice (a stack's slice with the largest outline), outlined and named.
    ``MASK``: PNGs of the mask, 255 on the tumor; a stack gets one for each slice, in a folder.
    ``HEATMAP``: a PNG of the same slice as ``OVERLAY`` with what spoke for the tumor type.
    ``JSON``: the numbers.
    ``HTML``: the report.
    ``NIFTI``: the mask as a NIfTI volume, in the source's geometry.
    ``SEG``: the mask as a DICOM segmentation; only for a scan that came as DICOM.
    ``SR``: the measurements as a DICOM structured report, and the segmentation that it refers to.
    ``CAPTURE``: the overlay as a DICOM secondary capture.
    """

    OVERLAY = "overlay"
    MASK = "mask"
    HEATMAP = "heatmap"
    JSON = "json"
    HTML = "html"
    NIFTI = "nifti"
    SEG = "seg"
    SR = "sr"
    CAPTURE = "capture"


DEFAULT_FORMATS = (Format.OVERLAY, Format.JSON, Format.HTML)
DICOM_FORMATS = (Format.SEG, Format.SR, Format.CAPTURE)
_OF_OUTLINE = (Format.MASK, Format.NIFTI)
_OF_TUMOR = (Format.SEG, Format.SR)


@dataclass(frozen=True)
class WriteOptions:
    """How a finding is written.

    Attributes:
        uncertainty: Whether overlays show the band of pixels that may or may not be tumor.
        keep_identity: Whether the JSON and the report say whose scan it is. DICOM files always do.
    """

    uncertainty: bool = False
    keep_identity: bool = False


def write_finding(
    finding: Finding,
    out: Path,
    name: str,
    formats: Iterable[Format | str] = DEFAULT_FORMATS,
    options: WriteOptions | None = None,
) -> list[Path]:
    """Write a finding; each file appears whole or not at all.

    A format that has nothing to show, such as a segmentation where no tumor is outlined, is left out.

    Args:
        finding: What to write.
        out: The folder; made if missing.
        name: What the files' names begin with.
        formats: Which; see `Format`.
        options: How.

    Returns:
        The files.

    Raises:
        TumorlensError: A format isn't known, or a DICOM format is asked of a scan that didn't come as DICOM.
        OSError: A file can't be written.
    """
    asked = list(dict.fromkeys(as_format(each) for each in formats))
    refuse_impossible(finding.scan, asked)
    if Format.SR in asked and Format.SEG in asked:
        asked.remove(Format.SEG)  # it comes along
    written: list[Path] = []
    for each in asked:
        if _has(finding, each):
            written += _WRITERS[each](finding, out / name, options or WriteOptions())
    return written


def as_format(text: str) -> Format:
    """The format of a name.

    Raises:
        TumorlensError: There is none.
    """
    try:
        return Format(text)
    except ValueError as error:
        known = ", ".join(Format)
        raise TumorlensError(f"expected a format among {known}, got {text!r}") from error


def refuse_impossible(scan: Scan, formats: Iterable[Format]) -> None:
    """Refuse DICOM formats for what didn't come as DICOM.

    Raises:
        TumorlensError: One is asked for.
    """
    impossible = [each for each in formats if each in DICOM_FORMATS]
    if impossible and not isinstance(scan.origin, DicomOrigin):
        raise TumorlensError(
            f"{scan.source.name}: expected a DICOM scan to write {' and '.join(impossible)}, got "
            "another kind of file; write nifti or mask instead"
        )


def _has(finding: Finding, format_: Format) -> bool:
    if format_ in _OF_OUTLINE:
        return finding.mask is not None
    if format_ in _OF_TUMOR:
        return bool(finding.tumor_slices)
    return format_ is not Format.HEATMAP or finding.heatmap is not None


def _named(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _overlay(finding: Finding, path: Path, options: WriteOptions) -> list[Path]:
    target = _named(path, "-overlay.png")
    write_overlay(finding, target, finding.key_slice, uncertainty=options.uncertainty)
    return [target]


def _masks(finding: Finding, path: Path, options: WriteOptions) -> list[Path]:
    del options
    if not finding.scan.is_volume:
        target = _named(path, "-mask.png")
        write_mask(finding, target)
        return [target]
    count = len(finding.scan.slices)
    targets = [_named(path, "-mask") / f"{index + 1:0{len(str(count))}d}.png" for index in range(count)]
    for index, target in enumerate(targets):
        write_mask(finding, target, index)
    return targets


def _heatmap(finding: Finding, path: Path, options: WriteOptions) -> list[Path]:
    del options
    target = _named(path, "-heatmap.png")
    write_heatmap(finding, target, finding.key_slice)
    return [target]


def _json(finding: Finding, path: Path, options: WriteOptions) -> list[Path]:
    target = _named(path, ".json")
    write_json(finding, target, keep_identity=options.keep_identity)
    return [target]


def _html(finding: Finding, path: Path, options: WriteOptions) -> list[Path]:
    from tumorlens.finding.report import write_report

    target = _named(path, ".html")
    write_report(finding, target, keep_identity=options.keep_identity)
    return [target]


def _nifti(finding: Finding, path: Path, options: WriteOptions) -> list[Path]:
    from tumorlens.finding.nifti import write_nifti

    del options
    target = _named(path, "-mask.nii.gz")
    write_nifti(finding, target)
    return [target]


def _seg(finding: Finding, path: Path, options: WriteOptions) -> list[Path]:
    from tumorlens.finding.dicom_seg import write_seg

    del options
    target = _named(path, "-seg.dcm")
    write_seg(finding, target)
    return [target]


def _sr(finding: Finding, path: Path, options: WriteOptions) -> list[Path]:
    from tumorlens.finding.dicom_seg import write_seg
    from tumorlens.finding.dicom_sr import write_sr

    del options
    segmentation, target = _named(path, "-seg.dcm"), _named(path, "-sr.dcm")
    write_sr(finding, target, write_seg(finding, segmentation))
    return [segmentation, target]


def _capture(finding: Finding, path: Path, options: WriteOptions) -> list[Path]:
    from tumorlens.finding.dicom_capture import write_capture

    del options
    target = _named(path, "-capture.dcm")
    write_capture(finding, target)
    return [target]


_WRITERS: dict[Format, Callable[[Finding, Path, WriteOptions], list[Path]]] = {
    Format.OVERLAY: _overlay,
    Format.MASK: _masks,
    Format.HEATMAP: _heatmap,
    Format.JSON: _json,
    Format.HTML: _html,
    Format.NIFTI: _nifti,
    Format.SEG: _seg,
    Format.SR: _sr,
    Format.CAPTURE: _capture,
}
