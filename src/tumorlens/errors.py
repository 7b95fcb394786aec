"""Errors that a user can do something about."""

import errno

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it comes from, is that nothing more could be written."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return error is not None and error.errno in _NO_ROOM


class TumorlensError(Exception):
    """A mistake in the input, not in the program.

    Its message is one line that says what was expected, what came and what to do. The command line prints
    it without a traceback and exits with code 2.
    """
