"""A folder for one process alone; a kill ends the claim, too."""

import sys
from pathlib import Path

from tumorlens.errors import TumorlensError


class FolderLock:
    """Claims a folder until released.

    Args:
        path: A file in it, made if missing.

    Raises:
        TumorlensError: Another process has it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        try:
            _lock(self._file.fileno())
        except OSError as error:
            self._file.close()
            raise TumorlensError(
                f"{path.parent}: expected a folder for this server alone, but another one uses it; "
                "stop that one or give another --data"
            ) from error

    def release(self) -> None:
        """Let others have it."""
        self._file.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
