"""Folders of object stores and other file systems behind a URL."""

import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import fsspec  # type: ignore[import-untyped]

from tumorlens.batch.listing import Child, tree_units
from tumorlens.batch.unit import Unit
from tumorlens.errors import TumorlensError

Result = TypeVar("Result")

_PAUSES = (1.0, 4.0)  # seconds before a second and a third attempt
_STAMPS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


class StorageError(TumorlensError):
    """A storage that doesn't answer: no input's fault, so that the run stops and can go on later."""


def is_url(text: str) -> bool:
    """Whether a source or destination is a URL, such as ``s3://bucket/folder``."""
    return "://" in text


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path there, without a slash at its end.

    Raises:
        TumorlensError: There is no such kind, or its library is missing.
    """
    scheme = url.partition("://")[0]
    package = _PACKAGES.get(scheme)
    if package is not None and importlib.util.find_spec(package) is None:
        extra = "'tumorlens[cluster]'" if scheme == "s3" else package
        raise TumorlensError(f"{scheme}:// needs {package}; install it with: pip install {extra}")
    try:
        system, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise TumorlensError(
            f"{url}: expected a URL that fsspec knows, such as s3://…, but {error}"
        ) from error
    return system, str(path).rstrip("/")


def patiently(action: Callable[[], Result], name: str) -> Result:
    """What an action returns, tried three times where a storage doesn't answer.

    Raises:
        FileNotFoundError: What it is about is gone.
        PermissionError: It isn't allowed.
        StorageError: The storage still doesn't answer.
    """
    for pause in (*_PAUSES, None):
        try:
            return action()
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # each storage's library has exceptions of its own
            if pause is None:
                reason = " ".join(str(error).split()) or type(error).__name__
                raise StorageError(
                    f"{name}: the storage doesn't answer ({reason}); run this again later"
                ) from error
            time.sleep(pause)
    raise AssertionError("unreachable")


class RemoteFolder:
    """A folder of an object store.

    Args:
        url: Such as ``s3://bucket/folder``.
        leave_out: The URL of a folder in it not to look into.

    Raises:
        TumorlensError: There is none.
    """

    def __init__(self, url: str, leave_out: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._left_out = leave_out
        self._system, self._path = file_system(url)
        if not patiently(lambda: self._system.exists(self._path), url):
            raise TumorlensError(f"{url}: expected a folder with scans, found none; look at the name")

    def units(self, study_depth: int | None) -> Iterator[Unit]:
        """See `Archive`."""
        return tree_units(self, study_depth)

    def local(self, path: str) -> Path | None:
        """See `Archive`."""
        return None

    def fetch(self, path: str, target: Path) -> None:
        """See `Archive`."""
        patiently(lambda: self._system.get_file(f"{self._path}/{path}", str(target)), f"{self._url}/{path}")

    def children(self, folder: str) -> Iterator[Child]:
        """See `tumorlens.batch.listing.Tree`."""
        path = f"{self._path}/{folder}" if folder else self._path
        entries = patiently(lambda: self._system.ls(path, detail=True), f"{self._url}/{folder}")
        for entry in entries:
            whole = str(entry["name"]).rstrip("/")
            name = whole.rpartition("/")[2]
            url = "/".join(part for part in (self._url, folder, name) if part)
            # A store may have an empty object for the folder itself.
            if whole != path and url != self._left_out:
                is_folder = entry["type"] == "directory"
                yield Child(name, is_folder, int(entry.get("size") or 0), stamp_of(entry))


def stamp_of(entry: Mapping[str, object]) -> str:
    """What of a listing changes when the object does."""
    return next((str(entry[name]) for name in _STAMPS if entry.get(name)), "")
