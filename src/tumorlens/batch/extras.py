"""The libraries that only a batch needs."""

import importlib.util

from tumorlens.errors import TumorlensError

_BATCH = ("pyarrow", "fsspec")


def need_batch_extra() -> None:
    """Make sure that Parquet and storage by URL are there.

    Raises:
        TumorlensError: They aren't; the message has the line that installs them.
    """
    if any(importlib.util.find_spec(name) is None for name in _BATCH):
        raise TumorlensError(
            "'batch' needs pyarrow and fsspec; install them with: pip install 'tumorlens[batch]'"
        )


def need_cluster_extra() -> None:
    """Make sure that Ray is there.

    Raises:
        TumorlensError: It isn't; the message has the line that installs it.
    """
    if importlib.util.find_spec("ray") is None:
        raise TumorlensError("--engine ray needs Ray; install it with: pip install 'tumorlens[cluster]'")
