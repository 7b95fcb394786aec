"""The published dataset from figshare: resumed where it broke off, verified, unpacked.

A file grows as ``<name>.partial`` until its size and MD5 are right. ``.tumorlens-download.json`` in the
same folder remembers what was verified and what each zip unpacked to, so that a second run downloads
nothing although the zips are gone.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from tumorlens.atomic import write_text
from tumorlens.dataset.transfer import Client, TransferError
from tumorlens.dataset.unpack import is_plain_name, unpack
from tumorlens.errors import TumorlensError

FIGSHARE_API = "https://api.figshare.com/v2/articles/1512427"
"""Metadata of the dataset of Cheng et al. (doi 10.6084/m9.figshare.1512427, CC BY 4.0)."""

STATE_FILE = ".tumorlens-download.json"


@dataclass(frozen=True)
class DownloadReport:
    """What a run of `download` did.

    Attributes:
        folder: Where the dataset is.
        fetched: Names of the files that came over the network, in part or whole.
        kept: Names of the files that were there and verified already.
    """

    folder: Path
    fetched: tuple[str, ...]
    kept: tuple[str, ...]


class _RemoteFile(BaseModel):
    name: str
    size: Annotated[int, Field(ge=0)]
    download_url: str
    computed_md5: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class _Article(BaseModel):
    files: Annotated[list[_RemoteFile], Field(min_length=1)]


class _Done(BaseModel):
    md5: str
    sizes: dict[str, int]


class _State(BaseModel):
    files: dict[str, _Done] = {}


def download(
    folder: Path,
    api: str = FIGSHARE_API,
    *,
    keep_archives: bool = False,
    show_progress: bool = True,
    retry_wait: float = 1.0,
) -> DownloadReport:
    """Download the dataset, or what is missing of it, and unpack it.

    A zip is deleted once unpacked; a kept one may be deleted by hand. A later run looks for what came out.

    Args:
        folder: Where the dataset goes; made if missing.
        api: Address whose JSON lists the files; https, or http on this very machine.
        keep_archives: Leave the zips beside what they unpacked to.
        show_progress: Draw a progress bar on standard error.
        retry_wait: Seconds before the second attempt at something that failed; doubled for each further one.

    Returns:
        What was fetched and what was there already.

    Raises:
        TumorlensError: The server fails or answers something else, a size or MD5 is wrong, an archive isn't
            safe to unpack, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Client(retry_wait) as client, _progress_bar(show_progress) as progress:
            job = _Job(folder, client, progress, keep_archives)
            return job.run(_list_files(client, api))
    except TransferError as error:
        raise TumorlensError(
            f"{error}; run the same download again, it resumes where it broke off"
        ) from error
    except OSError as error:
        raise TumorlensError(_cannot_write(folder, error)) from error


def _cannot_write(folder: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{folder}: can't write the dataset: {reason}; make room or choose another folder, then try again"


class _Job:
    """One run: which files are done, which are to be fetched."""

    def __init__(self, folder: Path, client: Client, progress: Progress, keep_archives: bool) -> None:
        self.folder = folder
        self.client = client
        self.progress = progress
        self.keep_archives = keep_archives
        self.state = _read_state(folder / STATE_FILE)

    def run(self, files: Iterable[_RemoteFile]) -> DownloadReport:
        fetched: list[str] = []
        kept: list[str] = []
        for remote in files:
            if self._is_done(remote):
                kept.append(remote.name)
                continue
            (fetched if self._bring(remote) else kept).append(remote.name)
            self._finish(remote)
        return DownloadReport(self.folder, tuple(fetched), tuple(kept))

    def _is_done(self, remote: _RemoteFile) -> bool:
        done = self.state.files.get(remote.name)
        if done is None or done.md5 != remote.computed_md5:
            return False
        return all(_size(self.folder / name) == size for name, size in done.sizes.items())

    def _bring(self, remote: _RemoteFile) -> bool:
        """Have the verified file in the folder; whether the network was needed for that."""
        path = self.folder / remote.name
        if _is_whole(path, remote):
            return False
        partial = self.folder / f"{remote.name}.partial"
        resumed = partial.exists()
        self._transfer(remote, partial)
        if resumed and not _is_whole(partial, remote):
            partial.unlink()  # its beginning was from something else; once more from the start
            self._transfer(remote, partial)
        if not _is_whole(partial, remote):
            got = _md5(partial)
            partial.unlink()
            raise TumorlensError(
                f"{remote.name}: expected MD5 {remote.computed_md5}, got {got}; "
                "the file was damaged on its way: download it again"
            )
        partial.replace(path)
        return True

    def _transfer(self, remote: _RemoteFile, partial: Path) -> None:
        task = self.progress.add_task(remote.name, total=remote.size)
        self.client.transfer(
            remote.download_url,
            partial,
            remote.size,
            lambda received: self.progress.update(task, completed=received),
        )

    def _finish(self, remote: _RemoteFile) -> None:
        """Unpack what is an archive, and remember what came of it."""
        path = self.folder / remote.name
        sizes = {remote.name: remote.size}
        is_archive = path.suffix.lower() == ".zip"
        if is_archive:
            task = self.progress.add_task(f"unpack {remote.name}", total=None)
            sizes = unpack(path, self.folder, advance=lambda size: self.progress.advance(task, size))
            self._close(task)
        self.state.files[remote.name] = _Done(md5=remote.computed_md5, sizes=sizes)
        write_text(self.folder / STATE_FILE, self.state.model_dump_json(indent=1))
        if is_archive and not self.keep_archives:
            path.unlink()

    def _close(self, task: TaskID) -> None:
        done = next(entry.completed for entry in self.progress.tasks if entry.id == task)
        self.progress.update(task, total=done)


def _list_files(client: Client, api: str) -> list[_RemoteFile]:
    text = client.text(api)
    try:
        files = _Article.model_validate_json(text).files
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole answer"
        raise TumorlensError(
            f"{api}: expected figshare's JSON with a list of files, got something else "
            f"({where}: {first['msg'].splitlines()[0]}); check the address"
        ) from error
    names = [remote.name.casefold() for remote in files]
    for remote in files:
        if (
            not is_plain_name(remote.name)
            or remote.name.startswith(".")
            or names.count(remote.name.casefold()) > 1
        ):
            raise TumorlensError(
                f"{api}: expected plain file names, each once, got {remote.name!r}; nothing was downloaded"
            )
    return files


def _read_state(path: Path) -> _State:
    """What earlier runs achieved; nothing where the file is missing or unreadable, which costs only time."""
    try:
        return _State.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return _State()


def _is_whole(path: Path, remote: _RemoteFile) -> bool:
    return _size(path) == remote.size and _md5(path) == remote.computed_md5


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _md5(path: Path) -> str:
    """The checksum that figshare publishes; it guards against damage, not against an attacker."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _progress_bar(show: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not show,
    )
