"""Names that clients give, made harmless; and messages that name files, made fit for clients."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

_LONGEST = 100
_ENDINGS = (
    *(".nii.gz", ".nii", ".dcm", ".dicom", ".ima", ".zip", ".mat"),
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".hdr", ".img"),
)
_IN_ARCHIVE = re.compile(r"\b(\d{6})-[A-Za-z0-9._-]+")  # see `tumorlens.scan.archive`
_NUMBERED = re.compile(r"\b(0\d{5})(?:\.(?:nii\.gz|[a-z]{2,5}))?(?![\w.-])")  # as uploads are called here
_NEUTRAL = "scan"


def ending(name: str) -> str:
    """A name's ending where it is one of a kind of scan; else nothing."""
    small = name.lower()
    return next((each for each in _ENDINGS if small.endswith(each)), "")


def clean(name: str) -> str:
    """The last part of a path that a client named, in one line of printable letters; may be empty."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    letters = "".join(each if each.isprintable() else " " for each in unicodedata.normalize("NFC", last))
    text = " ".join(letters.encode("utf-8", "replace").decode().split()).lstrip(".")
    kept = ending(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - len(kept)] + kept


def label(names: Sequence[str]) -> str:
    """What to call an upload: its file's name, or that of the folder that all of its files lie in."""
    if len(names) == 1:
        return clean(names[0]) or _NEUTRAL
    folders = {re.split(r"[/\\]", name.lstrip("/\\"))[0] for name in names if re.search(r"[/\\]", name)}
    shared = clean(folders.pop()) if len(folders) == 1 else ""
    return shared or f"{len(names)} files"


def neutral(name: str) -> str:
    """A name that tells nothing of whose a scan is, with the ending of the one given."""
    return _NEUTRAL + ending(name)


def for_client(message: str, upload: Path, name: str) -> str:
    """A reader's sentence without paths of this machine and names inside archives.

    Args:
        message: The sentence.
        upload: The folder or the file that was read.
        name: What to call it instead.
    """
    text = message.replace(f"{upload}/", "").replace(str(upload), name).replace(f"{upload.parent}/", "")
    text = text.replace(upload.name, name) if upload.name != name else text
    text = _IN_ARCHIVE.sub(lambda found: f"file {int(found[1]) + 1}", text)
    text = _NUMBERED.sub(lambda found: f"file {int(found[1])}", text)
    return " ".join(text.replace("--series", "series").split())
