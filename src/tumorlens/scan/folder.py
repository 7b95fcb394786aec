"""The files in a folder and all folders below."""

import os
from collections.abc import Iterator
from pathlib import Path


def files_in(folder: Path, leave_out: Path | None = None) -> Iterator[Path]:
    """Files in the order of their names, without hidden files and folders; links that lead nowhere as well.

    Args:
        folder: Where to begin.
        leave_out: A folder not to look into.
    """
    left_out = None if leave_out is None else leave_out.resolve()
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and Path(where, name).resolve() != left_out
        )
        yield from (Path(where, name) for name in sorted(names) if not name.startswith("."))
