"""What there is to look at in the files and folders that a user names: one source a scan."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tumorlens.errors import TumorlensError
from tumorlens.scan.folder import files_in
from tumorlens.scan.reader import (
    is_dicom,
    is_dicom_name,
    is_scan,
    is_single_name,
    named,
    read_head,
    read_scan,
    read_series,
)
from tumorlens.scan.scan import Scan


@dataclass(frozen=True)
class Source:
    """One scan to read.

    Attributes:
        path: The file, or the folder of a DICOM study.
        place: Where it lies below what the user named, without the name's ending; results go to the same
            place below their own folder.
        files: The study's files; empty for a file that is a scan of its own.
    """

    path: Path
    place: Path
    files: tuple[Path, ...] = field(default=(), repr=False)

    def read(self, series: str | None = None, unpack_to: Path | None = None) -> Scan:
        """Read it; see `tumorlens.scan.read_scan`."""
        if self.files:
            return read_series(self.path, self.files, series)
        return read_scan(self.path, series, unpack_to=unpack_to)

    @property
    def fingerprint(self) -> str:
        """Changes when a file's path, size or time does; 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for file in self.files or (self.path,):
            status = file.stat() if file.exists() else None
            known = (str(file.resolve()), status and status.st_size, status and status.st_mtime_ns)
            digest.update(repr(known).encode())
        return digest.hexdigest()


def find_sources(paths: Iterable[Path], leave_out: Path | None = None) -> list[Source]:
    """The scans that a user's paths mean.

    A file is one scan, whatever it holds. A folder is looked through with all folders below: every picture,
    MATLAB slice, NIfTI volume and zip is a scan, and so are the DICOM files of each study together. Files
    that only by their names are any of these come last; reading them says what is wrong.

    Args:
        paths: Files and folders.
        leave_out: A folder not to look into, such as that of the results.

    Raises:
        TumorlensError: A folder holds no scan; two scans' results would have the same place.
    """
    found: list[Source] = []
    for given in paths:
        path = named(given)
        found += _in_folder(path, leave_out) if path.is_dir() else [Source(path, Path(_stem(path.name)))]
    return _apart(found)


def _in_folder(folder: Path, leave_out: Path | None) -> list[Source]:
    found: list[Source] = []
    dicom: list[Path] = []
    promised: list[Source] = []
    for file in files_in(folder, leave_out):
        try:
            head = read_head(file)
        except TumorlensError:
            head = None  # reading it will say why
        if head is not None and is_dicom(head):
            dicom.append(file)
            continue
        place = file.relative_to(folder)
        source = Source(file, place.with_name(_stem(place.name)))
        if head is None or is_scan(file, head):
            found.append(source)
        elif is_single_name(file.name) or is_dicom_name(file.name):
            promised.append(source)
    found += _studies(folder, dicom, [each.path for each in promised if is_dicom_name(each.path.name)])
    if not found and not promised:
        raise TumorlensError(
            f"{folder}: expected a folder with scans (DICOM, NIfTI, .mat, PNG, JPEG, TIFF, BMP), found none"
        )
    return sorted(found, key=lambda source: source.place) + promised


def _studies(folder: Path, files: Sequence[Path], damaged: Sequence[Path]) -> Iterator[Source]:
    """DICOM files by study, each in the place of the folder that all of its files are in.

    Damaged files that lie beside a study's own go with it: they may be slices of it.
    """
    if not files:
        return
    from tumorlens.scan.dicom import study_of

    studies: dict[str, list[Path]] = {}
    for file in files:
        studies.setdefault(study_of(file), []).append(file)
    for together in studies.values():
        shared = Path(os.path.commonpath([file.parent for file in together]))
        place = shared.relative_to(folder)
        name = Path(folder.resolve().name or "scan") if place == Path() else place
        folders = {file.parent for file in together}
        yield Source(shared, name, (*together, *(file for file in damaged if file.parent in folders)))


def _stem(name: str) -> str:
    stem = name[: -len(".gz")] if name.lower().endswith(".nii.gz") else name
    return Path(stem).stem or name


def _apart(sources: Sequence[Source]) -> list[Source]:
    """The sources, those that share a place each with one of its own, named after its ending, too."""
    shared = _repeated(source.place for source in sources)
    apart = [
        Source(source.path, source.place.with_name(source.path.name.replace(".", "-")), source.files)
        if source.place in shared and not source.files
        else source
        for source in sources
    ]
    numbered: list[Source] = []
    taken: dict[Path, int] = {}
    for source in apart:  # several studies of one folder, several files of one name
        count = taken[source.place] = taken.get(source.place, 0) + 1
        place = source.place if count == 1 else source.place.with_name(f"{source.place.name}-{count}")
        numbered.append(Source(source.path, place, source.files))
    twice = _repeated(source.place for source in numbered)
    if twice:
        raise TumorlensError(f"expected scans of different names, got {min(twice)} twice; rename one")
    return numbered


def _repeated(places: Iterable[Path]) -> set[Path]:
    seen: set[Path] = set()
    return {place for place in places if place in seen or seen.add(place)}  # type: ignore[func-returns-value]
