"""What a source says of whose scan it is, in every form in which a name or a description may hold it."""

import contextlib
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tumorlens.scan.origin import DicomOrigin, Identity, Origin, value_of

if TYPE_CHECKING:
    from pydicom import Dataset

_SHORTEST = 3  # of a part of a name or a number that is looked for; letters of alphabets
_FIRST_IDEOGRAPH = "\u2e80"  # from here on a single sign can be a whole name
_NAMES = (
    *("PatientBirthName", "OtherPatientNames", "PatientMotherBirthName", "ResponsiblePerson"),
    *("ReferringPhysicianName", "PerformingPhysicianName", "NameOfPhysiciansReadingStudy"),
    *("PhysiciansOfRecord", "RequestingPhysician", "OperatorsName"),
)
_NUMBERS = ("OtherPatientIDs", "AdmissionID", "StudyID")
_IN_SEQUENCES = {
    "OtherPatientIDsSequence": ("PatientID",),
    "RequestAttributesSequence": ("AccessionNumber", "RequestedProcedureID", "ScheduledProcedureStepID"),
    "ReferencedRequestSequence": ("AccessionNumber", "RequestedProcedureID"),
}
_DATES = ("SeriesDate", "AcquisitionDate", "AcquisitionDateTime", "ContentDate", "InstanceCreationDate")
_UIDS = ("FrameOfReferenceUID",)
_SHORTEST_DATE = 5  # of digits alone
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_BEFORE_E = "aou"  # with which an e makes an umlaut that is written as two letters
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "\u0131": "i", "þ": "th"})


@dataclass(frozen=True)
class Sounded:
    """A text's letters and digits alone, small and without accents.

    Attributes:
        text: These.
        places: Of each, the index of the letter that it came from.
    """

    text: str
    places: tuple[int, ...]


def sounded(text: str, *, short: bool = False) -> Sounded:
    """What is left of a text when separators, case and accents are ignored.

    Args:
        text: Any.
        short: Whether to ignore as well in how many letters an umlaut is written.
    """
    small = text.lower()
    if small.isascii() and not (short and "e" in small):  # as numbers and UIDs, of which a stack has many
        kept = [letter.isalnum() for letter in small]
        compress = itertools.compress
        return Sounded("".join(compress(small, kept)), tuple(compress(range(len(small)), kept)))
    found: list[tuple[str, int]] = []
    for place, written in enumerate(text):
        for letter in unicodedata.normalize("NFKD", written.casefold()).translate(_PLAIN):
            if not letter.isalnum():
                continue
            if not (short and letter == "e" and found and found[-1][0] in _BEFORE_E):
                found.append((letter, place))
    return Sounded("".join(letter for letter, _ in found), tuple(place for _, place in found))


@dataclass(frozen=True)
class Identifiers:
    """All by which a source tells whose a scan is, as `sounded` leaves it; empty where it doesn't say.

    Attributes:
        plain: To look for in texts.
        short: To look for in texts made ``short``.
    """

    plain: frozenset[str]
    short: frozenset[str]


def identifiers(origin: Origin | None) -> Identifiers:
    """What is to be looked for in texts about a scan of this origin."""
    forms = frozenset(_forms(origin)) if isinstance(origin, DicomOrigin) else frozenset()
    shortened = (sounded(form, short=True).text for form in forms)
    return Identifiers(forms, frozenset(form for form in shortened if _is_long_enough(form)))


def _forms(origin: DicomOrigin) -> Iterator[str]:
    identity, header = origin.identity, origin.headers[0]
    names = [identity.patient_name, *_texts([header], _NAMES)]
    numbers = [identity.patient_id, identity.accession_number, *_texts([header], _NUMBERS)]
    for keyword, inside in _IN_SEQUENCES.items():
        numbers += _texts(_items(header, keyword), inside)
    dates = [identity.birth_date, identity.study_date, *_texts([header], _DATES)]
    uids = [*_uids(identity), *_texts([header], _UIDS), *_texts(origin.headers, ("SOPInstanceUID",))]
    yield from itertools.chain.from_iterable(map(_name_forms, names))
    yield from itertools.chain.from_iterable(map(_number_forms, [*numbers, *uids]))
    yield from itertools.chain.from_iterable(map(_date_forms, dates))


def _uids(identity: Identity) -> tuple[str, str]:
    return identity.study_uid, identity.series_uid


def _texts(headers: "Iterable[Dataset]", keywords: Iterable[str]) -> Iterator[str]:
    for header, keyword in itertools.product(headers, tuple(keywords)):
        value = value_of(header, keyword)
        if value is not None:
            yield from map(str, value if _is_several(value) else [value])


def _is_several(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _items(header: "Dataset", keyword: str) -> "list[Dataset]":
    value = value_of(header, keyword)
    return list(value) if _is_several(value) else []


def _name_forms(name: str) -> Iterator[str]:
    """Its parts, and short ones beside each other; ``Family^Given=in signs=by sound``."""
    groups = name.split("=")
    with contextlib.suppress(UnicodeError):  # UTF-8 that is said to be Latin-1, as is common
        groups += name.encode("latin-1").decode("utf-8").split("=")
    for group in groups:
        parts = [part for part in re.split(r"[\W\d_]+", group) if part]
        joined = ["".join(pair) for pair in itertools.permutations(parts, 2)]
        forms = (sounded(part).text for part in [*parts, *joined, "".join(parts)])
        yield from (form for form in forms if _is_long_enough(form))


def _is_long_enough(part: str) -> bool:
    return len(part) >= _SHORTEST or any(letter >= _FIRST_IDEOGRAPH for letter in part)


def _number_forms(number: str) -> Iterator[str]:
    """As it is, and without zeros in front."""
    plain = sounded(number).text
    if len(plain) >= _SHORTEST:
        yield plain
        short = plain.lstrip("0")
        yield short if len(short) > _SHORTEST else plain


def _date_forms(date: str) -> Iterator[str]:
    """YYYYMMDD and what other orders, two digits of the year, single digits or words make of it."""
    digits = "".join(sign for sign in date if sign in "0123456789")[:8]
    if len(digits) < 8:
        yield from _number_forms(digits)
        return
    year, month, day = digits[:4], digits[4:6], digits[6:]
    for years in (year, year[2:]):
        yield from (years + month + day, day + month + years, month + day + years)
    m, d = month.lstrip("0"), day.lstrip("0")
    yield from (year + m + d, d + m + year, m + d + year)
    short = year[2:]
    yield from (form for form in (d + m + short, m + d + short, short + m + d) if len(form) >= _SHORTEST_DATE)
    if 1 <= int(month) <= len(_MONTHS):
        word = _MONTHS[int(month) - 1]
        for days, years in itertools.product({day, d}, (year, year[2:])):
            yield from (days + word + years, word + days + years, years + word + days)
