"""What a PACS lists: studies, series and instances, read leniently from its DICOM JSON."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tumorlens.errors import TumorlensError
from tumorlens.pacs.privacy import label

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64
_DATE = re.compile(r"\d{8}")
_WILDCARDS = re.compile(r"[*?]")


@dataclass(frozen=True)
class StudyEntry:
    """A study.

    Attributes:
        uid: StudyInstanceUID.
        date: YYYYMMDD; empty where the server doesn't say, as all texts.
        description: StudyDescription.
        modalities: Of its series.
        instances: How many it has; None where the server doesn't say.
        patient_id: The hospital's number.
        accession_number: The order's number.
    """

    uid: str
    date: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    modalities: tuple[str, ...] = ()
    instances: int | None = None
    patient_id: str = field(default="", repr=False)
    accession_number: str = field(default="", repr=False)

    @property
    def label(self) -> str:
        """What to call it where no patient's data belong."""
        return label(self.uid)


@dataclass(frozen=True)
class SeriesEntry:
    """A series.

    Attributes:
        study_uid: StudyInstanceUID.
        uid: SeriesInstanceUID.
        modality: MR, CT, SEG, ...
        number: SeriesNumber.
        description: SeriesDescription.
        instances: How many it has; None where the server doesn't say.
    """

    study_uid: str
    uid: str
    modality: str = ""
    number: str = ""
    description: str = ""
    instances: int | None = None


@dataclass(frozen=True)
class InstanceEntry:
    """An instance, such as one slice.

    Attributes:
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        uid: SOPInstanceUID.
        number: InstanceNumber; None where there is none.
    """

    study_uid: str
    series_uid: str
    uid: str
    number: int | None = None


@dataclass(frozen=True)
class Query:
    """Which studies to find; what is None doesn't matter.

    Attributes:
        patient_id: PatientID; ``*`` and ``?`` stand for any characters and one.
        study_uid: StudyInstanceUID.
        accession_number: AccessionNumber; with ``*`` and ``?`` as above.
        date: StudyDate as ``20240301``, ``20240301-20240331``, ``20240301-`` or ``-20240331``.
        modality: Of at least one series.

    Raises:
        TumorlensError: The date or the UID isn't one.
    """

    patient_id: str | None = None
    study_uid: str | None = None
    accession_number: str | None = None
    date: str | None = None
    modality: str | None = None

    def __post_init__(self) -> None:
        if self.study_uid is not None and not is_uid(self.study_uid):
            raise TumorlensError("expected a StudyInstanceUID of digits and dots, got something else")
        if self.date is not None:
            self._range()

    @property
    def empty(self) -> bool:
        """Whether every study would do."""
        return not self.filters()

    def filters(self) -> dict[str, str]:
        """As QIDO-RS wants it."""
        asked = {
            "PatientID": self.patient_id,
            "StudyInstanceUID": self.study_uid,
            "AccessionNumber": self.accession_number,
            "StudyDate": self.date,
            "ModalitiesInStudy": self.modality,
        }
        return {keyword: value for keyword, value in asked.items() if value}

    def admits(self, study: StudyEntry) -> bool:
        """Whether a study is what was asked for: some servers overlook what they can't search by."""
        first, last = self._range() if self.date else ("", "")
        return (
            _same(self.patient_id, study.patient_id)
            and _same(self.accession_number, study.accession_number)
            and self.study_uid in (None, study.uid)
            and (not self.modality or not study.modalities or self.modality in study.modalities)
            and (not study.date or (first <= study.date and (not last or study.date <= last)))
        )

    def _range(self) -> tuple[str, str]:
        first, dash, last = (self.date or "").partition("-")
        ends = [each for each in (first, last) if each]
        if not ends or not all(_DATE.fullmatch(each) for each in ends) or (first and last and last < first):
            raise TumorlensError(
                "expected a date as 20240301 or a range as 20240301-20240331, got something else"
            )
        return first, last if dash else first


def is_uid(text: str) -> bool:
    """Whether a text can be a DICOM UID."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def study_entry(item: Mapping[str, Any]) -> StudyEntry | None:
    """A study of a server's listing; None where it has no proper UID."""
    uid = text_of(item, "0020000D")
    if not is_uid(uid):
        return None
    return StudyEntry(
        uid=uid,
        date=text_of(item, "00080020"),
        description=text_of(item, "00081030"),
        modalities=tuple(str(each) for each in values_of(item, "00080061")),
        instances=_count(item, "00201208"),
        patient_id=text_of(item, "00100020"),
        accession_number=text_of(item, "00080050"),
    )


def series_entry(item: Mapping[str, Any], study_uid: str) -> SeriesEntry | None:
    """A series of a server's listing; None where it has no proper UID."""
    uid = text_of(item, "0020000E")
    if not is_uid(uid):
        return None
    return SeriesEntry(
        study_uid=study_uid,
        uid=uid,
        modality=text_of(item, "00080060"),
        number=text_of(item, "00200011"),
        description=text_of(item, "0008103E"),
        instances=_count(item, "00201209"),
    )


def instance_entry(item: Mapping[str, Any], study_uid: str, series_uid: str) -> InstanceEntry | None:
    """An instance of a server's listing; None where it has no proper UID."""
    uid = text_of(item, "00080018")
    if not is_uid(uid):
        return None
    return InstanceEntry(study_uid, series_uid, uid, _count(item, "00200013"))


def values_of(item: Mapping[str, Any], tag: str) -> list[Any]:
    """An attribute's values in DICOM JSON; empty where it is missing or malformed."""
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    return [value for value in values if value is not None] if isinstance(values, list) else []


def text_of(item: Mapping[str, Any], tag: str) -> str:
    """An attribute's first value in DICOM JSON as text in one line; empty where it is missing."""
    for value in values_of(item, tag)[:1]:
        if isinstance(value, str | int | float):
            return "".join(each for each in " ".join(str(value).split()) if each.isprintable())
    return ""


def _count(item: Mapping[str, Any], tag: str) -> int | None:
    text = text_of(item, tag)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _same(wanted: str | None, got: str) -> bool:
    """Whether a text is the wanted one, as far as a server says it."""
    if not wanted or not got:
        return True
    if not _WILDCARDS.search(wanted):
        return wanted.strip() == got.strip()
    pattern = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in wanted)
    return re.fullmatch(pattern, got, re.IGNORECASE) is not None
