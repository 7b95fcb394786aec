"""One way in: the right reader by what a file holds, whatever its name says."""

import contextlib
import dataclasses
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tumorlens.errors import TumorlensError
from tumorlens.scan.archive import is_zip, unpacked
from tumorlens.scan.folder import files_in
from tumorlens.scan.matlab import is_matlab, scan_from_matlab
from tumorlens.scan.picture import is_picture, scan_from_picture
from tumorlens.scan.scan import Scan

if TYPE_CHECKING:
    from tumorlens.scan.stack import Stack

# Readers of DICOM and NIfTI are imported only when such a file comes: their libraries take a while to load.

_EXPECTED = "a MATLAB v7.3 slice, a PNG, JPEG, TIFF or BMP, a DICOM file, a NIfTI volume, or a zip of these"
_HEAD = 1024
_SINGLE = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".mat", ".nii", ".nii.gz", ".zip")
_DICOM = (".dcm", ".dicom", ".ima")
_MOST_FILES = 100_000


def read_scan(path: str | Path, series: str | None = None, *, unpack_to: Path | None = None) -> Scan:
    """Read a scan: a picture, a MATLAB v7.3 slice, a NIfTI volume, a DICOM file, or a folder or zip of DICOM.

    Of several DICOM series the best match for T1 with contrast is taken; ``Scan.reason`` says why.

    Args:
        path: A file or a folder.
        series: Which DICOM series: its place in `list_series` from 1, its UID or a part of its description.
        unpack_to: Has what a zip holds while it is read; None for the machine's temporary folder.

    Raises:
        TumorlensError: There is no such file, it is none of these or damaged, or no series fits.
    """
    path = named(Path(path))
    if path.is_dir():
        return _checked(_scan_from_files(path, path, series))
    head = read_head(path)
    if is_zip(head):
        with unpacked(path, unpack_to) as folder, _named_after(path, folder):
            scan = _checked(_scan_from_files(folder, path, series))
            return dataclasses.replace(scan, slices=np.asarray(scan.slices))  # the files are about to go
    return _checked(_scan_from_file(path, head, series))


def read_series(source: Path, files: Sequence[Path], series: str | None = None) -> Scan:
    """Read a scan of DICOM files that belong together, wherever they lie; see `read_scan`.

    Args:
        source: What to call them.
        files: Any of them that holds no picture is left out.
        series: As in `read_scan`.
    """
    return _checked(_scan_of(*_stacks_of(files, source), source, series))


def list_series(path: str | Path) -> list["Stack"]:
    """The DICOM series in a folder, a zip or a file, as `read_scan` numbers them from 1.

    Raises:
        TumorlensError: There is none, or the archive is damaged.
    """
    path = named(Path(path))
    if path.is_dir():
        return _stacks_in(path, path)
    head = read_head(path)
    if is_zip(head):
        with unpacked(path) as folder, _named_after(path, folder):
            return _stacks_in(folder, path)
    if not is_dicom(head):
        raise TumorlensError(f"{path}: expected a folder, a zip or a file of DICOM, got something else")
    return _stacks_of_file(path)


def named(path: Path) -> Path:
    """The same place by a path that ends in a name, so that scans and results can be called after it."""
    return path if path.name not in ("", "..") else path.resolve()


@contextlib.contextmanager
def _named_after(archive: Path, folder: Path) -> Iterator[None]:
    """Let messages about an unpacked file name its archive, not the temporary folder."""
    try:
        yield
    except TumorlensError as error:
        raise TumorlensError(str(error).replace(f"{folder}{os.sep}", f"{archive.name}: ")) from error


def _scan_from_file(path: Path, head: bytes, series: str | None) -> Scan:
    if is_dicom(head):  # first: a DICOM file may begin as a TIFF does
        return _scan_of(_stacks_of_file(path), 0, path, series)
    if is_picture(head):
        return scan_from_picture(path)
    if is_matlab(head) or head.startswith(b"MATLAB"):
        return scan_from_matlab(path)
    from tumorlens.scan.nifti import is_nifti, scan_from_nifti

    if is_nifti(path, head):
        return scan_from_nifti(path)
    expected = "a DICOM file" if is_dicom_name(path.name) else _EXPECTED
    raise TumorlensError(f"{path}: expected {expected}, got {'something else' if head else 'an empty file'}")


def _scan_from_files(folder: Path, source: Path, series: str | None) -> Scan:
    """A scan of a folder's DICOM files or, where it has none, of the only file that is a scan."""
    heads = {file: read_head(file) for file in _files(folder, source)}
    dicom = [file for file, head in heads.items() if is_dicom(head)]
    if dicom:
        stacks, damaged = _stacks_of(dicom, source)
        damaged += sum(is_dicom_name(file.name) for file in heads.keys() - dicom)
        return _scan_of(stacks, damaged, source, series)
    others = [file for file, head in heads.items() if is_scan(file, head) and not is_zip(head)]
    if len(others) > 1:
        raise TumorlensError(
            f"{source}: expected DICOM files or a single other scan, got {len(others)} such as "
            f"{others[0].name}; name one of them"
        )
    if not others:
        raise TumorlensError(f"{source}: expected {_EXPECTED}, found none in it among {len(heads)} files")
    return dataclasses.replace(_scan_from_file(others[0], heads[others[0]], series), source=source)


def _scan_of(stacks: list["Stack"], unreadable: int, source: Path, series: str | None) -> Scan:
    from tumorlens.scan.choice import choose

    stack, reason = choose(stacks, series, source.name)
    return stack.read(source, reason, unreadable)


def _stacks_of_file(path: Path) -> list["Stack"]:
    """The series of a DICOM file.

    Raises:
        TumorlensError: Why it can't be read.
    """
    from tumorlens.scan.dicom import read_frames
    from tumorlens.scan.series import stacks_of

    return stacks_of(read_frames(path))


def _stacks_in(folder: Path, source: Path) -> list["Stack"]:
    """The DICOM series in a folder."""
    return _stacks_of([file for file in _files(folder, source) if is_dicom(read_head(file))], source)[0]


def _stacks_of(files: Sequence[Path], source: Path) -> tuple[list["Stack"], int]:
    """The series in DICOM files, and how many files are damaged.

    These, and those without a picture, are left out.

    Raises:
        TumorlensError: All are.
    """
    from tumorlens.scan.dicom import NoPictureError, read_frames
    from tumorlens.scan.series import stacks_of

    frames, refused = [], list[TumorlensError]()
    for file in files:
        try:
            frames += read_frames(file)
        except TumorlensError as error:
            refused.append(error)
    if not frames:
        why = f" ({len(refused)} can't be used, such as {refused[0]})" if refused else ""
        raise TumorlensError(f"{source}: expected DICOM files with pictures, found none{why}")
    return stacks_of(frames), sum(not isinstance(error, NoPictureError) for error in refused)


def _files(folder: Path, source: Path) -> list[Path]:
    """All files below a folder, by name; hidden ones are left out and links to folders not followed."""
    found: list[Path] = []
    for path in files_in(folder):
        found += [path] if path.is_file() else []  # no pipe, which would wait for ever
        if len(found) > _MOST_FILES:
            raise TumorlensError(
                f"{source}: expected at most {_MOST_FILES:,} files, got more; choose a folder below"
            )
    return found


def is_scan(path: Path, head: bytes) -> bool:
    """Whether a file's first bytes are those of anything that `read_scan` reads."""
    if is_dicom(head) or is_picture(head) or is_matlab(head) or is_zip(head):
        return True
    from tumorlens.scan.nifti import is_nifti

    return is_nifti(path, head)


def is_single_name(name: str) -> bool:
    """Whether a file of this name promises to be a scan of its own, other than a slice of DICOM."""
    return name.lower().endswith(_SINGLE)


def is_dicom_name(name: str) -> bool:
    """Whether a file of this name promises to be DICOM; many are that have other names."""
    return name.lower().endswith(_DICOM)


def is_dicom(head: bytes) -> bool:
    """Whether a file's first bytes are those of a DICOM file, with or without its preamble."""
    if head[128:132] == b"DICM":
        return True
    group, element = head[:2], head[2:4]  # old files begin with an element of group 2 or 8
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    implicit = len(head) >= 8 and int.from_bytes(head[4:8], "little") < 1 << 10
    known = group in (b"\x02\0", b"\x08\0") and int.from_bytes(element, "little") <= 0x0100
    return known and (explicit or implicit)


def read_head(path: Path) -> bytes:
    """A file's first bytes, enough to tell what it is."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading from a pipe would wait for ever
            raise TumorlensError(f"{path}: expected a file or a folder, got neither; save it as a file first")
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise TumorlensError(f"{path}: can't be read: {error.strerror}") from error


def _checked(scan: Scan) -> Scan:
    """A scan that shows something.

    Raises:
        TumorlensError: All its pixels have one value.
    """
    low, high = np.inf, -np.inf
    for pixels in scan.slices:
        low, high = min(low, pixels.min()), max(high, pixels.max())
        if low < high:
            return scan
    raise TumorlensError(
        f"{scan.source.name}: expected a picture with bright and dark places, got {low} everywhere; choose "
        "another slice"
    )
