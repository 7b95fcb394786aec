"""The files in a folder and all folders below."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

DONE_FILE = ".tumorlens-done"
"""In a folder of results: what was finished (`tumorlens.predict`)."""

BATCH_FILE = "batch.json"
"""In a folder of results: on what they depend (`tumorlens.batch`)."""
BATCH_KEYS = {"schema_version", "source", "model"}
"""Of the object in that file."""

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
        return not (place.name.startswith(".") or has_results(place) or place.resolve() == left_out)

    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if is_wanted(Path(where, name)))
        yield from (Path(where, name) for name in sorted(names) if name[0] != "." and name != _FOLDS)


def has_results(folder: Path) -> bool:
    """Whether a folder is one that got results, of `tumorlens.predict` or of `tumorlens.batch`."""
    return (folder / DONE_FILE).exists() or _is_of_batch(folder / BATCH_FILE)


def _is_of_batch(path: Path) -> bool:
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(known, dict) and known.keys() >= BATCH_KEYS
