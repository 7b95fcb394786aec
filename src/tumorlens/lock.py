"""One run at a time in a folder on this machine; a kill ends the claim, too."""

import contextlib
import errno
import sys
from collections.abc import Iterator
from pathlib import Path

from tumorlens.errors import TumorlensError

_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
"""What a lock that another process has comes to; anything else, that the disk knows no locks."""


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Claim a folder, made if missing; on a disk without locks, such as some of a network, nobody watches.

    Raises:
        TumorlensError: Another run has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+b") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            if error.errno in _TAKEN:
                raise TumorlensError(
                    f"{folder}: expected one run at a time, but another one writes here; wait for it or "
                    "stop it"
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
