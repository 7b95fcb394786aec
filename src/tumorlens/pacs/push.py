"""DICOM files into a PACS: stored, and then looked for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tumorlens.errors import TumorlensError
from tumorlens.pacs.entry import InstanceEntry, is_uid
from tumorlens.pacs.errors import PacsError, PacsUnreachableError
from tumorlens.pacs.pull import identify
from tumorlens.pacs.server import PacsServer

_LOOKS = 4  # some servers list an instance only a little after they took it


@dataclass(frozen=True)
class Pushed:
    """What became of a file.

    Attributes:
        path: The file.
        stored: Whether the server lists it now.
        words: What happened, or why not.
    """

    path: Path
    stored: bool
    words: str


def push(
    server: PacsServer, files: Sequence[Path], report: Callable[[Pushed], None] = lambda _: None
) -> list[Pushed]:
    """Store files, each with a search afterwards that confirms it; a bad one doesn't stop the rest.

    Args:
        server: That gets them. What it has already isn't sent again.
        files: DICOM files.
        report: Told of each when it is done.

    Returns:
        Of each file, in order.

    Raises:
        PacsUnreachableError: The server doesn't answer.
    """
    outcomes = []
    for path in files:
        outcome = _push(server, path)
        outcomes.append(outcome)
        report(outcome)
    return outcomes


def _push(server: PacsServer, path: Path) -> Pushed:
    try:
        if not send(server, path):
            return Pushed(path, True, "there already")
        confirm(server, path)
    except PacsUnreachableError:
        raise
    except (TumorlensError, OSError) as error:
        return Pushed(path, False, str(error))
    return Pushed(path, True, "stored")


def send(server: PacsServer, path: Path) -> bool:
    """Store a file unless the server has it; `confirm` tells whether that worked.

    Returns:
        Whether it was sent.

    Raises:
        PacsError: The server can't be reached or didn't take it.
        TumorlensError: It isn't a DICOM file.
    """
    import pydicom

    instance = _identity(path)
    if server.has(instance):
        return False
    refusal = server.store(pydicom.dcmread(path))
    if refusal and not server.has(instance):
        raise PacsError(f"{path.name}: {server.name} didn't store it: {refusal}")
    return True


def confirm(server: PacsServer, path: Path, wait: float = 0.5) -> None:
    """Make sure that the server lists a file.

    Raises:
        PacsError: It doesn't, or can't be reached.
        TumorlensError: It isn't a DICOM file.
    """
    instance = _identity(path)
    for look in range(_LOOKS):
        if server.has(instance):
            return
        time.sleep(wait * 2**look)
    raise PacsError(f"{path.name}: {server.name} took it but doesn't list it; look there before trying again")


def _identity(path: Path) -> InstanceEntry:
    found = identify(path)
    uids = () if found is None else (found.study_uid, found.series_uid, found.uid)
    if found is None or not all(map(is_uid, uids)):
        raise TumorlensError(f"{path}: expected a DICOM file with proper UIDs, got something else")
    return found
