"""What of a scan's texts may be shown to anybody: nothing by which its source says whose it is.

Only what the source itself says of the patient can be recognised: a picture called after a patient, with
nothing in it that names one, keeps its name.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tumorlens.finding.identifiers import identifiers, sounded
from tumorlens.scan import Scan

REMOVED = "[removed]"
"""Stands for words that tell whose a scan is."""

_NEUTRAL = "scan"
_ENDINGS = (
    *(".nii.gz", ".nii", ".dcm", ".dicom", ".ima", ".zip", ".mat"),
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"),
)
_UID = re.compile(r"\d+(?:\.\d+){5,}")  # DICOM's have at least as many parts
_WORD = re.compile(r"[^\s,;:]+")
_DIGITS = 8  # of a neutral name


def public_name(scan: Scan) -> str:
    """The source's file name, or a neutral one where that tells whose scan it is."""
    name = scan.source.name
    return _NEUTRAL + _ending(name) if _Names(scan).tell(name) else name


def public_stem(scan: Scan) -> str:
    """What the names of a scan's results may begin with: the source's without its ending, or a neutral one.

    The neutral one is that of `public_place`.
    """
    name = scan.source.name
    stem = name[: len(name) - len(_ending(name))]
    return public_place(Path(stem or _NEUTRAL), scan).name


def public_place(place: Path, scan: Scan, known_as: str | None = None) -> Path:
    """A relative path with neutral names for those that tell whose scan it is.

    A neutral name, such as ``scan-5e3a90b1``, follows from the pixels and the path: it is another for every
    scan, also for one that was stored twice, the same every time, and nobody without the scan can work it
    out.

    Args:
        place: The path.
        scan: What lies there.
        known_as: The path that neutral names follow from; ``place`` by default.
    """
    names = _Names(scan)
    path = place.as_posix() if known_as is None else known_as
    parts = [
        f"{_NEUTRAL}-{_digits(scan, path)}{_ending(part)}" if names.tell(part) else part
        for part in place.parts
    ]
    return Path(*parts)


def public_text(text: str | None, scan: Scan) -> str | None:
    """A text with ``[removed]`` for the words that tell whose scan it is."""
    return None if text is None else _Names(scan).without(text)


def told_name(scan: Scan, *, keep_identity: bool) -> str:
    """The source's file name as it is told: `public_name`, or as it is."""
    return encodable(scan.source.name if keep_identity else public_name(scan))


def told_text(text: str | None, scan: Scan, *, keep_identity: bool) -> str | None:
    """A text of the source's as it is told: `public_text`, or as it is; None where there is none."""
    told = text if keep_identity else public_text(text, scan)
    return None if told is None else encodable(told)


def encodable(text: str) -> str:
    """A text with question marks for what no file can hold, as of a file name whose bytes are no text."""
    return text.encode("utf-8", "replace").decode()


class _Names:
    """Finds what tells whose a scan is, however it is spaced, capitalised or accented."""

    def __init__(self, scan: Scan) -> None:
        self._hidden = identifiers(scan.origin)

    def tell(self, text: str) -> bool:
        """Whether a text tells it."""
        return any(True for _ in self._spans(text))

    def without(self, text: str) -> str:
        """The text with ``[removed]`` for each run of words that tell it."""
        spans = list(self._spans(text))
        words = [
            (word, any(start < word.end() and word.start() < end for start, end in spans))
            for word in _WORD.finditer(text)
        ]
        parts: list[str] = []
        at, in_run = 0, False
        for word, offends in words:
            between = text[at : word.start()]
            in_run = in_run and offends and between.isspace()
            parts += [] if in_run else [between]
            if not offends:
                parts.append(word.group())
            elif not in_run:
                parts.append(REMOVED)
            at, in_run = word.end(), offends
        return "".join(parts) + text[at:]

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where in a text something tells it, as (start, end)."""
        yield from (match.span() for match in _UID.finditer(text))
        for hidden, short in ((self._hidden.plain, False), (self._hidden.short, True)):
            sound = sounded(text, short=short)
            for form in hidden:
                at = sound.text.find(form)
                while at >= 0:
                    yield sound.places[at], sound.places[at + len(form) - 1] + 1
                    at = sound.text.find(form, at + 1)


def _ending(name: str) -> str:
    """A file name's ending where it is one of a kind of file; else nothing."""
    return next((name[-len(each) :] for each in _ENDINGS if name.lower().endswith(each)), "")


def _digits(scan: Scan, path: str) -> str:
    middle = np.ascontiguousarray(scan.slices[len(scan.slices) // 2])
    known = f"{scan.shape} {scan.affine} {path}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(middle.tobytes() + known).hexdigest()[:_DIGITS]
