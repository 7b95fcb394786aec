"""One run at a time for a destination on this machine; a kill ends the claim, too."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tumorlens.errors import TumorlensError


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Claim a folder, made if missing.

    Raises:
        TumorlensError: Another run has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+b") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            raise TumorlensError(
                f"{folder}: expected one run at a time, but another one writes here; wait for it or stop it"
            ) from error
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
