"""A folder on this machine for one process alone; a kill ends the claim, too."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tumorlens.errors import TumorlensError

LOCK = ".lock"
"""The file in a claimed folder, unless another name is given."""
_REFUSAL = "expected one run at a time, but another one writes here; wait for it or stop it"
_WITHOUT_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
_held: set[IO[bytes]] = set()


@contextlib.contextmanager
def alone_in(folder: Path, name: str = LOCK, refusal: str = _REFUSAL) -> Iterator[None]:
    """Claim a folder, made if missing; on a disk without locks, such as some of a network, nobody watches.

    Args:
        folder: Which.
        name: Of the file in it that says so; it stays.
        refusal: What to say, behind its name, where another has it.

    Raises:
        TumorlensError: Another has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("a+b") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise TumorlensError(f"{folder}: {refusal}") from error
        _held.add(file)
        try:
            yield
        finally:
            _held.discard(file)
            with contextlib.suppress(OSError, ValueError):  # closed already in a child, see `_leave`
                _unlock(file.fileno())


def _leave() -> None:
    """In a child: a worker that outlives its parent a little must not hold on to what that had."""
    for file in _held:
        with contextlib.suppress(OSError):
            file.close()
    _held.clear()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    os.register_at_fork(after_in_child=_leave)

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
