"""NIfTI volumes (.nii, .nii.gz) as scans."""

import gzip
import logging
import math
import os
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from nibabel import arrayproxy, nifti1, nifti2
from numpy.typing import NDArray

from tumorlens.errors import TumorlensError
from tumorlens.scan import geometry
from tumorlens.scan.limits import check_size, check_values
from tumorlens.scan.origin import NiftiOrigin
from tumorlens.scan.scan import Scan

# nibabel prints what it mends in a header; what it can't mend is refused here in a sentence.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)

_GZIP = b"\x1f\x8b"
_GZIP_RATIO = 1032  # the most that deflate can pack
_HEADERS = {348: nifti1.Nifti1Header, 540: nifti2.Nifti2Header}  # by their size, a header's first number
_UNITS = {1: "meter", 2: "mm", 3: "micron"}  # by the lowest three bits of a header's unit
_MILLIMETRES = {"meter": 1000.0, "micron": 0.001}


def is_nifti(path: Path, head: bytes) -> bool:
    """Whether a file's beginning, unpacked where it is gzip, is that of a NIfTI volume in one file."""
    if head.startswith(_GZIP):
        try:
            with gzip.open(path) as file:
                head = file.read(348)
        except (OSError, EOFError, zlib.error):
            return False
    return head[344:347] == b"n+1" or head[4:7] == b"n+2"


def scan_from_nifti(path: Path) -> Scan:
    """Read a NIfTI volume, its slices along the plane that it was acquired in.

    Raises:
        TumorlensError: It is damaged, not three-dimensional, not of real and finite numbers, too large, or
            its affine doesn't place its voxels.
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == _GZIP
            plain.seek(0)
            file = cast("IO[bytes]", gzip.GzipFile(fileobj=plain)) if packed else plain
            header, has_sizes = _read_header(file)
            shape = _shape(path, header)
            affine, unit = _affine(path, header)
            qform, qform_code = _qform(header)
            turn = _turn(path, affine, shape)
            _check_length(header, os.fstat(plain.fileno()).st_size, packed=packed)
            values = _values(path, file, header, shape)
    except TumorlensError:
        raise
    except Exception as error:  # nibabel lets EOFError, zlib.error and numpy's errors through
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TumorlensError(
            f"{path.name}: expected a whole NIfTI volume, but {reason}; export it again"
        ) from error
    to_lps = geometry.LPS_RAS @ geometry.turned_affine(_in_millimetres(affine, unit), turn, shape)
    codes = int(header["sform_code"]), qform_code
    placed, sized = any(codes), any(codes) or has_sizes
    rows, columns = np.linalg.norm(to_lps[:3, 1:3], axis=0).tolist()
    return Scan(
        geometry.turned(values, turn),
        source=path,
        spacing=(rows, columns) if sized else None,
        slice_spacing=geometry.slice_distance(to_lps) if sized else None,
        affine=to_lps if placed else None,  # else how it lies was only guessed
        origin=NiftiOrigin(affine, shape, turn, codes, qform, unit),
    )


def _read_header(file: IO[bytes]) -> tuple[Any, bool]:
    """The header alone, and whether it says how large voxels are, before nibabel makes 1 mm of nothing.

    What a file has between it and the voxels isn't read.
    """
    first = file.read(4)
    sizes = (int.from_bytes(first, "little"), int.from_bytes(first, "big"))
    size = next((size for size in sizes if size in _HEADERS), None)
    if size is None:
        raise ValueError(f"its header claims {sizes[0]} bytes, not 348 or 540")
    header: Any = _HEADERS[size]
    data = first + file.read(size - 4)
    return header(data), bool(header(data, check=False)["pixdim"][1:4].all())


def _shape(path: Path, header: Any) -> tuple[int, int, int]:
    """Three sizes; a fourth and more are accepted where they are 1."""
    shape = tuple(int(size) for size in header.get_data_shape())
    check_values(path.name, shape)
    if len(shape) < 3 or any(size != 1 for size in shape[3:]) or min(shape) < 1:
        size = " x ".join(map(str, shape))
        raise TumorlensError(
            f"{path.name}: expected one volume of three dimensions, got {size}; save the one to look at alone"
        )
    return shape[0], shape[1], shape[2]


def _affine(path: Path, header: Any) -> tuple[NDArray[np.float64], str]:
    """The affine (to RAS) and its unit."""
    with np.errstate(all="ignore"):  # what overflows is refused for not being finite
        affine = np.asarray(header.get_best_affine(), np.float64)
    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine) < len(affine):
        rows = "; ".join(" ".join(f"{value:g}" for value in row) for row in affine[:3])
        raise TumorlensError(
            f"{path.name}: expected an affine that places every voxel, got {rows}; mend the header or export "
            "it again"
        )
    return affine, _UNITS.get(int(header["xyzt_units"]) & 7, "unknown")


def _qform(header: Any) -> tuple[NDArray[np.float64] | None, int]:
    """The qform and its code; None and 0 where it has none or one that makes no sense beside its sform."""
    try:
        with np.errstate(all="ignore"):
            qform, code = header.get_qform(coded=True)
    except ValueError:
        return None, 0
    usable = qform is not None and np.isfinite(qform).all() and np.linalg.matrix_rank(qform) == len(qform)
    return (np.asarray(qform, np.float64), int(code)) if usable else (None, 0)


def _in_millimetres(affine: NDArray[np.float64], unit: str) -> NDArray[np.float64]:
    factor = _MILLIMETRES.get(unit, 1.0)
    return np.diag([factor, factor, factor, 1.0]) @ affine


def _turn(path: Path, affine: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """How its axes become (slices, rows, columns).

    Raises:
        TumorlensError: These would be too small or too large.
    """
    turn = geometry.turn_to(affine, geometry.best_plane(affine, shape))
    turned = [0, 0, 0]
    for size, (to, _) in zip(shape, turn, strict=True):
        turned[int(to)] = size
    check_size(path.name, *turned)
    return turn


def _check_length(header: Any, size: int, *, packed: bool) -> None:
    """Refuse a file that is shorter than its header claims, before memory is spent on it."""
    data = math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    expected = int(header.get_data_offset()) + data
    most = size * _GZIP_RATIO if packed else size
    if most < expected:
        raise ValueError(f"its header claims {expected:,} bytes, and the file can't have more than {most:,}")


def _values(path: Path, file: IO[bytes], header: Any, shape: tuple[int, int, int]) -> NDArray[np.generic]:
    """The voxels: as stored where the header doesn't scale them, else in 32-bit floating point."""
    stored = header.get_data_dtype()
    if stored.kind not in "iuf":
        raise TumorlensError(
            f"{path.name}: expected a volume of real numbers, got {header['datatype']} ({stored}); export it "
            "in gray"
        )
    proxy = arrayproxy.ArrayProxy(file, header, mmap=False)
    values: NDArray[np.generic]
    if (proxy.slope, proxy.inter) == (1, 0) and stored.itemsize <= 8:
        values = proxy.get_unscaled().reshape(shape)
    else:
        with np.errstate(all="ignore"):  # what overflows is refused for not being finite
            values = np.asarray(proxy, np.float32).reshape(shape)
    file.read(1)  # at its end, gzip compares the checksum
    if not values.dtype.isnative:
        values = values.byteswap(inplace=True).view(values.dtype.newbyteorder())
    if values.dtype.kind == "f" and not all(np.isfinite(part).all() for part in values):
        raise TumorlensError(f"{path.name}: expected finite voxels, got NaN or infinity; set them to 0")
    return values
