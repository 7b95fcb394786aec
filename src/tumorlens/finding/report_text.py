"""What a report says in words: of confidence, warnings, measurements and the scan."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tumorlens.finding.finding import Finding
from tumorlens.finding.privacy import told_name, told_text
from tumorlens.finding.warning import FindingWarning, WarningKind
from tumorlens.scan import Scan
from tumorlens.scan.geometry import Plane, plane_of
from tumorlens.scan.origin import DicomOrigin, NiftiOrigin

NOT_KNOWN = "not stated by the source"


@dataclass(frozen=True)
class _Told:
    """What a kind of warning means, and what to do."""

    meaning: str
    advice: str


_ADVICE = {
    WarningKind.UNFAMILIAR: _Told(
        meaning="The picture differs from the slices that the model learned from: perhaps another sequence, "
        "another part of the body, no contrast agent, or turned or inverted.",
        advice="Check that it is contrast-enhanced T1 of the head, the right way up. If it isn't, use "
        "nothing of this report.",
    ),
    WarningKind.NO_TUMOR: _Told(
        meaning="Nothing stood out clearly enough to be called a tumor. That doesn't show that there is "
        "none: small tumors and tumors as bright as the brain around them are missed.",
        advice="Look at the slices yourself. The tumor type below means nothing unless there is a tumor.",
    ),
    WarningKind.UNSURE: _Told(
        meaning="Two tumor types are nearly as likely, and which of them comes first is close to chance.",
        advice="Treat the type as open between these two.",
    ),
    WarningKind.EDGE: _Told(
        meaning="A part of the tumor may lie outside of what was scanned, so that it is larger than measured "
        "here.",
        advice="Read the measurements as lower limits, or analyse a series that covers the whole tumor.",
    ),
    WarningKind.UNEVEN: _Told(
        meaning="The distances between slices differ, perhaps because some are missing; one distance was "
        "used for all.",
        advice="Check that the series is complete. Read volume and slice numbers as approximate.",
    ),
    WarningKind.INCOMPLETE: _Told(
        meaning="Files that lie beside those of this series are damaged or empty. Slices of it may be among "
        "them, and a part of the tumor with these.",
        advice="Get the series again. Read volume and slice numbers as those of what could be read.",
    ),
}
_OTHER = _Told(
    meaning="The model gave this warning without a further explanation.",
    advice="Look at the slices yourself.",
)
_FILES = {
    ".mat": "MATLAB v7.3 slice",
    ".png": "PNG picture",
    ".jpg": "JPEG picture",
    ".jpeg": "JPEG picture",
    ".tif": "TIFF picture",
    ".tiff": "TIFF picture",
    ".bmp": "BMP picture",
}
_LEFT = "The patient's left is at the image's right."
_VIEWS = {
    Plane.AXIAL: f"{_LEFT} Slices are counted from inferior to superior.",
    Plane.CORONAL: f"{_LEFT} Slices are counted from anterior to posterior.",
    Plane.SAGITTAL: "Anterior is at the image's left. Slices are counted from left to right.",
}


@dataclass(frozen=True)
class Advice:
    """A warning in full.

    Attributes:
        title: What is warned of.
        meaning: What that means.
        advice: What to do.
    """

    title: str
    meaning: str
    advice: str


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        name: Of what.
        value: How much, or which.
        note: More to know of it; may be empty.
    """

    name: str
    value: str
    note: str = ""


def advice(warnings: Sequence[FindingWarning]) -> list[Advice]:
    """Warnings with what they mean and what to do; those of one kind together."""
    kinds = dict.fromkeys(warning.kind for warning in warnings)
    together = [(kind, "; ".join(each.message for each in warnings if each.kind == kind)) for kind in kinds]
    told = [(_ADVICE.get(kind, _OTHER), messages) for kind, messages in together]
    return [Advice(_sentence(messages), each.meaning, each.advice) for each, messages in told]


def confidence_words(finding: Finding) -> tuple[str, str]:
    """The word for how sure the type is, and what the word has been worth."""
    found = finding.confidence
    if found is None:
        return "Confidence not stated", "The model doesn't say how sure it is."
    title = f"{_sentence(found.word)} confidence"
    if found.accuracy is None:
        return (
            title,
            "How often slices with this word are named rightly has not been measured for this model.",
        )
    worth = (
        f"Of {found.slices:,} single slices with {found.word} confidence, of patients new to the models, "
        f"{found.accuracy:.1%} were named rightly."
    )
    more = " Whole series have not been measured." if finding.scan.is_volume else ""
    return title, worth + more


def measurements(finding: Finding) -> list[Line]:
    """The measurements, as far as there are any."""
    counts = finding.tumor_pixels
    if counts is None or not any(counts):
        return []
    return [*_sizes(finding, counts), *_diameters(finding), *_involved(finding)]


def no_measurements(finding: Finding) -> str:
    """Why there are none, or what is missing; empty where all is there."""
    if finding.mask is None:
        return "This model draws no outline, so that nothing was measured."
    if not any(finding.tumor_pixels or ()):
        return "Nothing is outlined, so that nothing was measured."
    if finding.scan.spacing is None:
        return "The source doesn't say how large a pixel is, so that nothing can be given in millimetres."
    if finding.scan.is_volume and finding.volume_mm3 is None:
        return "The source doesn't say how far apart the slices lie, so that there is no volume."
    return ""


def scan_lines(scan: Scan, *, keep_identity: bool) -> list[Line]:
    """What the scan was."""
    slices, rows, columns = scan.shape
    shape = f"{rows} × {columns} pixels"
    series, reason = (
        told_text(each, scan, keep_identity=keep_identity) for each in (scan.series, scan.reason)
    )
    lines = [
        Line("File", told_name(scan, keep_identity=keep_identity)),
        Line("Format", _format(scan)),
        Line("Series", series or NOT_KNOWN),
        Line("Why this series", _sentence(reason)) if reason else None,
        Line("Shape", f"{slices} slices of {shape}" if scan.is_volume else f"1 slice of {shape}"),
        Line("Spacing", _spacing(scan)),
        Line("Plane", str(plane_of(scan.affine)) if scan.affine is not None else NOT_KNOWN),
    ]
    return [line for line in lines if line is not None]


def picture_notes(finding: Finding) -> str:
    """How the patient lies in the pictures, as far as is known, and which pictures there can't be."""
    affine = finding.scan.affine
    notes = [
        _VIEWS[plane_of(affine)]
        if affine is not None
        else "The source doesn't say which side is the patient's left.",
        "This model draws no outline." if finding.mask is None else "",
        "" if finding.mask is None or finding.tumor_slices else "Nothing is outlined.",
        "This model has no heatmap." if finding.tumor_type and finding.heatmap is None else "",
    ]
    return " ".join(note for note in notes if note)


def identity_lines(scan: Scan) -> list[Line]:
    """Whose scan it is, as far as the source says."""
    if not isinstance(scan.origin, DicomOrigin):
        return []
    found = scan.origin.identity
    names = {
        "Patient's name": found.patient_name.replace("^", ", ", 1).replace("^", " "),
        "Patient ID": found.patient_id,
        "Birth date": _date(found.birth_date),
        "Sex": {"F": "female", "M": "male", "O": "other"}.get(found.sex, found.sex),
        "Study date": _date(found.study_date),
        "Accession number": found.accession_number,
        "Study UID": found.study_uid,
        "Series UID": found.series_uid,
    }
    return [Line(name, value or NOT_KNOWN) for name, value in names.items()]


def runs(numbers: Sequence[int]) -> str:
    """Rising numbers in short, such as ``3–7, 9`` for 3, 4, 5, 6, 7, 9."""
    starts = [number for before, number in pairwise([-2, *numbers]) if number != before + 1]
    ends = [number for number, after in pairwise([*numbers, -2]) if after != number + 1]
    pairs = zip(starts, ends, strict=True)
    return ", ".join(str(start) if start == end else f"{start}–{end}" for start, end in pairs)


def area(square_millimetres: float) -> str:
    """An area in mm² and cm²."""
    square_centimetres = square_millimetres / 100
    digits = _digits(square_centimetres)
    return f"{square_millimetres:,.0f} mm² ({square_centimetres:.{digits}f} cm²)"


def _sizes(finding: Finding, counts: Sequence[int]) -> Iterator[Line]:
    where = f"slice {finding.key_slice + 1}" if finding.scan.is_volume else ""
    if finding.area_mm2 is None:
        yield Line("Largest cross-section", f"{max(counts):,} pixels", where)
        return
    yield Line("Largest cross-section", area(finding.area_mm2), where)
    if finding.volume_mm3 is not None:
        volume = finding.volume_mm3 / 1000
        yield Line("Volume", f"{volume:,.{_digits(volume)}f} cm³", "outlined area × slice distance")


def _diameters(finding: Finding) -> Iterator[Line]:
    found = finding.diameters
    if found is None:
        return
    where = f"slice {found.slice_index + 1}" if finding.scan.is_volume else ""
    yield Line("Longest diameter", f"{found.longest_mm:.1f} mm", where)
    yield Line("Perpendicular diameter", f"{found.perpendicular_mm:.1f} mm", where)


def _involved(finding: Finding) -> Iterator[Line]:
    if finding.scan.is_volume:
        count = f"{len(finding.tumor_slices)} of {len(finding.scan.slices)}"
        yield Line("Slices involved", count, runs([index + 1 for index in finding.tumor_slices]))


def _digits(value: float) -> int:
    return 1 if value >= 1 else 2


def _format(scan: Scan) -> str:
    if isinstance(scan.origin, DicomOrigin):
        return "DICOM" if scan.origin.frames is None else "DICOM, multi-frame"
    if isinstance(scan.origin, NiftiOrigin):
        return "NIfTI"
    return _FILES.get(scan.source.suffix.lower(), NOT_KNOWN)


def _spacing(scan: Scan) -> str:
    if scan.spacing is None:
        return NOT_KNOWN
    rows, columns = scan.spacing
    published = ", of the published slices" if scan.source.suffix.lower() == ".mat" else ""
    return f"{rows:.3g} × {columns:.3g} mm{published}{_apart(scan)}"


def _apart(scan: Scan) -> str:
    if not scan.is_volume:
        return ""
    if scan.slice_spacing is None:
        return "; between slices not stated"
    return f"; slices {scan.slice_spacing:.3g} mm apart"


def _date(text: str) -> str:
    """YYYYMMDD as YYYY-MM-DD; anything else as it is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
