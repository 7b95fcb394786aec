"""Writing a bundle: whole or not at all."""

import hashlib
import io
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from tumorlens import atomic
from tumorlens.bundle.bundle import MANIFEST, Bundle, open_bundle
from tumorlens.bundle.manifest import Manifest, Member, Name, dump
from tumorlens.errors import TumorlensError

_NAME: TypeAdapter[str] = TypeAdapter(Name)


def member(file: str, data: bytes) -> Member:
    """What a manifest says of a file."""
    return Member(file=file, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def arrays_bytes(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Named arrays as an ``.npz`` without pickled objects."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))
    return buffer.getvalue()


def check_name(name: str) -> None:
    """Make sure that a bundle can be called so.

    Raises:
        TumorlensError: It is empty, long or would take more than a line.
    """
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        raise TumorlensError(
            f"expected a name of 1 to 100 printable characters for the bundle, got {name!r:.120}"
        ) from error


def check_target(folder: Path) -> None:
    """Make sure that a bundle can take a folder's place.

    Raises:
        TumorlensError: There is something in it, or it is the one that the program runs in.
    """
    if folder.resolve() == Path.cwd():
        raise TumorlensError(f"{folder}: expected a new or empty folder for the bundle, got the current one")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TumorlensError(f"{folder}: expected a new or empty folder for the bundle, found other files")


def write_bundle(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Write a bundle and open it again, every member checked.

    Args:
        folder: New or empty.
        manifest: Names every file.
        files: Content by name.

    Raises:
        TumorlensError: The folder isn't empty, or what was written can't be used.
        OSError: The disk is full or can't be written.
    """
    check_target(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        for file, data in files.items():
            atomic.write_bytes(partial / file, data)
        atomic.write_text(partial / MANIFEST, dump(manifest))
        open_bundle(partial).verify()
        partial.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return open_bundle(folder)
