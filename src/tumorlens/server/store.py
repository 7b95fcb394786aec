"""Analyses on the disk: a folder for each, with its upload and its state.

A folder without a readable state is an upload that never became an analysis; a start removes it. So what a
kill leaves behind is whole, or gone after the next start.
"""

import contextlib
import os
import re
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from tumorlens.errors import TumorlensError
from tumorlens.lock import alone_in
from tumorlens.server.analysis import Kept, Status, whole_seconds
from tumorlens.server.problems import Kind, problem

_STATE = "state.json"
_PARTIAL = "state.partial"
_UPLOAD = "upload"
_ANALYSES = "analyses"
_TEMPORARY = "temporary"
_ERASED = "erased"
_LOCK = ".tumorlens-server"
_REFUSAL = (
    "expected a folder for this server alone, but another one uses it; stop that one or give another --data"
)
_ID = re.compile(r"[0-9a-f]{32}")
_LEAST_FREE = 256 << 20  # bytes that an upload leaves free


class Store:
    """The folder of a server's uploads and results, which is its alone while it runs.

    Args:
        folder: Made if missing, for nobody but this user.
        keep: Seconds that a finished analysis is kept.

    Raises:
        TumorlensError: The folder holds something else, or another server uses it.
        OSError: It can't be made or written.
    """

    def __init__(self, folder: Path, keep: float) -> None:
        self._folder = folder
        self._keep = timedelta(seconds=keep)
        self._lock = threading.Lock()
        self._expiries: OrderedDict[str, float] = OrderedDict()
        _make_private(folder)
        held = {each.name for each in folder.iterdir()}
        if held and _LOCK not in held:
            raise TumorlensError(
                f"{folder}: expected an empty folder or one of this server's, got other files; "
                "give another --data"
            )
        self._claim = contextlib.ExitStack()
        self._claim.enter_context(alone_in(folder, _LOCK, _REFUSAL))
        try:
            self._recover()
        except BaseException:
            self._claim.close()
            raise

    @property
    def temporary(self) -> Path:
        """A folder for what is gone when the server is."""
        return self._folder / _TEMPORARY

    def close(self) -> None:
        """Let others use the folder."""
        self._clear(_TEMPORARY)
        self._clear(_ERASED)
        self._claim.close()

    @staticmethod
    def new_id() -> str:
        """An id that nobody can guess."""
        return secrets.token_hex(16)

    def begin(self, id_: str) -> Path:
        """Make the folder for an upload."""
        upload = self.upload(id_)
        upload.parent.mkdir(mode=0o700)
        upload.mkdir(mode=0o700)
        return upload

    def upload(self, id_: str) -> Path:
        """The folder with an analysis's upload."""
        return self._of(id_) / _UPLOAD

    def expiry(self, now: datetime | None = None) -> datetime:
        """When something that is finished now is erased."""
        return whole_seconds((now or datetime.now(UTC)) + self._keep)

    def has_room(self, size: int) -> bool:
        """Whether the disk can take so many bytes more."""
        return shutil.disk_usage(self._folder).free > size + _LEAST_FREE

    def write(self, kept: Kept) -> None:
        """Keep an analysis, whole or not at all; one that was erased meanwhile stays so."""
        id_ = kept.analysis.id
        text = kept.model_dump_json()
        with self._lock:
            self._expiries[id_] = kept.analysis.expires.timestamp()
            self._expiries.move_to_end(id_)
        with contextlib.suppress(FileNotFoundError):  # erased meanwhile
            _replace(self._of(id_) / _STATE, text)

    def read(self, id_: str) -> Kept | None:
        """An analysis; None where there is none, or its time is over."""
        if not _ID.fullmatch(id_):
            return None
        try:
            kept = Kept.model_validate_json((self._of(id_) / _STATE).read_bytes())
        except (OSError, ValidationError):
            return None
        return kept if kept.analysis.expires > datetime.now(UTC) else None

    def has(self, id_: str) -> bool:
        """Whether there is an analysis whose time isn't over, without a look at the disk."""
        return self._expiries.get(id_, 0.0) > time.time()

    def erase(self, id_: str) -> None:
        """Remove an analysis and its upload; at once as far as anybody can see."""
        if not _ID.fullmatch(id_):
            return
        aside = self._folder / _ERASED / f"{id_}-{secrets.token_hex(4)}"
        with self._lock:
            self._expiries.pop(id_, None)
            try:
                self._of(id_).rename(aside)
            except OSError:
                return
        shutil.rmtree(aside, ignore_errors=True)

    def expired(self) -> list[str]:
        """The analyses whose time is over."""
        now = datetime.now(UTC).timestamp()
        with self._lock:
            return [id_ for id_, when in self._expiries.items() if when <= now]

    def _of(self, id_: str) -> Path:
        return self._folder / _ANALYSES / id_

    def _recover(self) -> None:
        """Bring order into what the last run left."""
        for name in (_TEMPORARY, _ERASED):
            self._clear(name)
        analyses = self._folder / _ANALYSES
        analyses.mkdir(mode=0o700, exist_ok=True)
        found = []
        for folder in analyses.iterdir():
            kept = self.read(folder.name)
            if kept is None:
                _remove(folder)
            else:
                (folder / _PARTIAL).unlink(missing_ok=True)
                found.append(kept if kept.analysis.is_final else self._interrupted(kept))
        for kept in sorted(found, key=lambda each: each.analysis.expires):
            self._expiries[kept.analysis.id] = kept.analysis.expires.timestamp()

    def _interrupted(self, kept: Kept) -> Kept:
        told = problem(
            Kind.INTERRUPTED, "The server ended before this analysis was finished; start it again."
        )
        analysis = kept.analysis.model_copy(
            update={"status": Status.INTERRUPTED, "problem": told, "expires": self.expiry()}
        )
        changed = kept.model_copy(update={"analysis": analysis})
        self.write(changed)
        return changed

    def _clear(self, name: str) -> None:
        shutil.rmtree(self._folder / name, ignore_errors=True)
        (self._folder / name).mkdir(mode=0o700, exist_ok=True)


def _replace(path: Path, text: str) -> None:
    """Write a text that appears whole or not at all, whenever this process is killed.

    Unlike `tumorlens.atomic` this doesn't wait for the disk, which would take as long as analysing a slice:
    what a power cut takes is gone as if it hadn't been sent.
    """
    partial = path.with_name(_PARTIAL)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix" and not any(folder.iterdir()):
        folder.chmod(0o700)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
