"""An upload as a scan, named so that nothing tells whose it is."""

import dataclasses
import logging
import re
import traceback
from pathlib import Path

from tumorlens.errors import TumorlensError
from tumorlens.finding.privacy import told_text
from tumorlens.scan import Scan, list_series, read_scan
from tumorlens.scan.origin import DicomOrigin
from tumorlens.scan.reader import is_dicom
from tumorlens.server.analysis import Ask, SeriesPart
from tumorlens.server.labels import for_client, neutral

_LOG = logging.getLogger("tumorlens.server")
_LARGE = 8 << 20  # bytes of a file from which it may be a stack
_SINGLE = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"MATLAB", b"\x89HDF")  # what files of one slice begin with
_PLACE = re.compile(r"series (\d+) of \d+")


def may_be_volume(files: int, size: int, head: bytes) -> bool:
    """Whether an upload may be more than a slice, which is then worked on alone.

    Args:
        files: How many there are.
        size: Of all, in bytes.
        head: The first bytes of the first file.
    """
    return files != 1 or size > _LARGE or not (head.startswith(_SINGLE) or is_dicom(head))


def read_upload(upload: Path, ask: Ask, label: str) -> Scan:
    """Read an upload; its source has the label as its name.

    Args:
        upload: The folder with its files.
        ask: What is wanted.
        label: What it is called.

    Raises:
        TumorlensError: It isn't a scan; the sentence is fit for the client.
    """
    source = _source(upload)
    try:
        scan = read_scan(source, ask.series)
    except TumorlensError as error:
        raise TumorlensError(for_client(str(error), source, neutral(label))) from error
    except Exception as error:  # a decoder's own failure; its words may quote the file
        _LOG.warning("an upload can't be read: %s", where(error))
        raise TumorlensError(f"{neutral(label)}: can't be read; save or export it again") from error
    return dataclasses.replace(scan, source=Path(label))


def where(error: BaseException) -> str:
    """An error's class and place in the code, without its words, which may quote a file."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def series_of(upload: Path, scan: Scan, ask: Ask) -> tuple[SeriesPart, ...]:
    """The DICOM series of an upload, without words that tell whose it is; empty for other files."""
    if not isinstance(scan.origin, DicomOrigin):
        return ()
    texts = [scan.series or ""]
    chosen = 1
    if scan.reason is not None:  # there was a choice
        texts = [str(stack) for stack in list_series(_source(upload))]
        chosen = _chosen(texts, scan, ask)
    return tuple(
        SeriesPart(
            number=place, text=told_text(text, scan, keep_identity=False) or "", chosen=place == chosen
        )
        for place, text in enumerate(texts, start=1)
    )


def _chosen(texts: list[str], scan: Scan, ask: Ask) -> int:
    """The place of the series that was read."""
    asked = (ask.series or "").strip()
    told = _PLACE.match(scan.reason or "")
    if told:
        return int(told[1])
    if asked.isascii() and asked.isdigit() and 1 <= int(asked) <= len(texts):
        return int(asked)
    return texts.index(scan.series) + 1 if scan.series in texts else 1


def _source(upload: Path) -> Path:
    """The only file, or the folder of several."""
    files = list(upload.iterdir())
    return files[0] if len(files) == 1 else upload
