"""Series from a PACS into a folder, each file whole, going on where an earlier pull stopped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tumorlens.atomic import replacing
from tumorlens.pacs.entry import InstanceEntry, SeriesEntry
from tumorlens.pacs.errors import PacsBusyError, PacsError
from tumorlens.pacs.manifest import ManifestSeries, open_manifest
from tumorlens.pacs.server import PacsServer

_INCOMING = ".incoming"  # hidden: whoever reads the folder passes over it


@dataclass(frozen=True)
class Pulled:
    """What became of a series.

    Attributes:
        folder: That has it.
        fetched: Files that came now.
        kept: Files that were there already.
    """

    folder: Path
    fetched: int
    kept: int


def pull_series(server: PacsServer, series: Sequence[SeriesEntry], folder: Path) -> list[Pulled]:
    """Fetch series of one study; what is in the folder already isn't fetched again.

    Args:
        server: That has them.
        series: At least one, of one study.
        folder: Gets ``series-1/000001.dcm`` and so on, and ``manifest.json``, which says what is what.

    Raises:
        PacsError: The server can't be reached, refuses, or doesn't send what it lists.
        TumorlensError: The folder holds another study.
        OSError: A file can't be written.
    """
    manifest = open_manifest(folder, series[0].study_uid)
    pulled = []
    for entry in series:
        listed = server.find_instances(entry.study_uid, entry.uid)
        part = manifest.series_of(entry)
        part.assign(listed)
        manifest.save(folder)
        pulled.append(_Fetch(server, entry, part, folder / part.folder)())
    return pulled


class _Fetch:
    """The missing files of one series."""

    def __init__(self, server: PacsServer, series: SeriesEntry, part: ManifestSeries, folder: Path) -> None:
        self._server = server
        self._series = series
        self._files = {uid: folder / name for name, uid in part.files.items()}
        self._folder = folder

    def __call__(self) -> Pulled:
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(f"{_INCOMING}*"):  # by a program that was killed
            left.unlink(missing_ok=True)
        kept = len(self._files) - len(self._missing())
        self._server.persistently(self._fetch)
        return Pulled(self._folder, len(self._files) - kept, kept)

    def _missing(self) -> list[str]:
        return [uid for uid, path in self._files.items() if not path.exists()]

    def _fetch(self) -> None:
        missing = self._missing()
        if len(missing) == len(self._files):
            self._receive(None)
        else:
            for uid in missing:
                self._receive(uid)
        left = len(self._missing())
        if left:
            raise PacsBusyError(
                f"{self._server.name}: expected {len(self._files)} images of a series, got "
                f"{len(self._files) - left}; pull again later"
            )

    def _receive(self, uid: str | None) -> None:
        with self._server.files(self._series.study_uid, self._series.uid, uid) as files:
            for chunks in files:
                self._keep(chunks)

    def _keep(self, chunks: Iterable[bytes]) -> None:
        """Put a file that comes in its place, once it is whole and known to be ours."""
        incoming = self._folder / _INCOMING
        try:
            with replacing(incoming) as temporary:
                with temporary.open("wb") as file:
                    for chunk in chunks:
                        file.write(chunk)
                place = self._files.get(self._uid_of(temporary))
            if place is not None:  # else it came to the server since we asked what there is
                incoming.replace(place)
        finally:
            incoming.unlink(missing_ok=True)

    def _uid_of(self, path: Path) -> str:
        found = identify(path)
        if found is None:
            raise PacsError(f"{self._server.name}: expected DICOM files, got something else")
        if (found.study_uid, found.series_uid) != (self._series.study_uid, self._series.uid):
            raise PacsError(f"{self._server.name}: expected images of one series, got one of another")
        return found.uid


def identify(path: Path) -> InstanceEntry | None:
    """Which instance a DICOM file is; None where it isn't one."""
    import pydicom

    tags = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
        study, series, instance = (str(header[tag].value) for tag in tags)
    except OSError:
        raise
    except Exception:  # pydicom raises what its parsers do
        return None
    return InstanceEntry(study, series, instance)
