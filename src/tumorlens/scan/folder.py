"""The files in a folder and all folders below."""

import os
from collections.abc import Iterator
from pathlib import Path

DONE_FILE = ".tumorlens-done"
"""In a folder of results: what was finished (`tumorlens.predict`)."""

_FOLDS = "cvind.mat"  # of the published dataset, beside its slices


def files_in(folder: Path, leave_out: Path | None = None) -> Iterator[Path]:
    """Files in the order of their names, without hidden ones; links that lead nowhere as well.

    Folders of results are left out unless one is asked for; so is the published dataset's list of folds.

    Args:
        folder: Where to begin.
        leave_out: A folder not to look into.
    """
    left_out = None if leave_out is None else leave_out.resolve()

    def is_wanted(place: Path) -> bool:
        hidden = place.name.startswith(".")
        return not (hidden or (place / DONE_FILE).exists() or place.resolve() == left_out)

    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if is_wanted(Path(where, name)))
        yield from (Path(where, name) for name in sorted(names) if name[0] != "." and name != _FOLDS)
