"""MATLAB v7.3 slices in the layout that Cheng et al. published (doi 10.6084/m9.figshare.1512427).

A file is HDF5 with a group ``cjdata`` that holds ``image``, ``label``, ``PID``, ``tumorBorder`` and
``tumorMask``. MATLAB stores columns first, so h5py hands every array out transposed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import TumorlensError
from tumorlens.scan.limits import check_size
from tumorlens.scan.scan import Scan

FIELD_OF_VIEW_MM = 512 * 0.49
"""Width of a published slice: 512 pixels of 0.49 mm (Cheng et al. 2015); those of 256 show the same."""

_VALUES_LIMIT = 1 << 26
"""The most values read from one field, 8192 x 8192: a small file can declare any size."""


Content = TypeVar("Content")

# What h5py raises on damaged files; it maps no error of HDF5 to a class of its own.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)


@dataclass(frozen=True)
class MatlabSlice:
    """The content of one ``.mat`` file, as it is; None for what the file doesn't hold.

    Attributes:
        image: (rows, columns), the stored type.
        mask: (rows, columns), whatever shape and values the file has, as booleans.
        label: The stored label; 1 to 3 in the published files.
        patient: The PID, an opaque text.
        border: (points, 2), the outline as x (right) and y (down), in pixels.
    """

    image: NDArray[np.generic]
    mask: NDArray[np.bool_] | None
    label: float | None
    patient: str | None
    border: NDArray[np.float64] | None


def pixel_spacing(shape: tuple[int, ...]) -> float:
    """Distance between pixel centers in mm of a published slice of (rows, columns)."""
    return FIELD_OF_VIEW_MM / max(shape)


def is_matlab(head: bytes) -> bool:
    """Whether a file's first bytes are those of an HDF5 file, bare or behind MATLAB's 512-byte header."""
    signature = b"\x89HDF\r\n\x1a\n"
    return head.startswith(signature) or head[512:].startswith(signature)


def read_matlab(path: Path) -> MatlabSlice:
    """Read a MATLAB v7.3 slice.

    Raises:
        TumorlensError: The file isn't readable HDF5, or holds no two-dimensional ``cjdata/image``.
    """
    return _read(path, _read_group)


def scan_from_matlab(path: Path) -> Scan:
    """Read a MATLAB v7.3 slice as a scan; its spacing follows from the published field of view.

    Raises:
        TumorlensError: It is no such file, damaged, too small or too large, or not finite.
    """
    image = _read(path, _image)
    check_size(path.name, 1, *image.shape)
    if not np.isfinite(image).all():
        raise TumorlensError(f"{path.name}: expected finite pixel values, got NaN or infinity; mend the file")
    spacing = pixel_spacing(image.shape)
    return Scan(image[None], source=path, spacing=(spacing, spacing))


def _read(path: Path, part: Callable[[Path, h5py.File], Content]) -> Content:
    try:
        with h5py.File(path, "r") as file:
            return part(path, file)
    except TumorlensError:
        raise
    except _DAMAGE as error:
        raise TumorlensError(f"{path.name}: {_what_it_is(path, error)}") from error


def _image(path: Path, file: h5py.File) -> NDArray[np.generic]:
    group = _own(file, "cjdata")
    if not isinstance(group, h5py.Group) or not isinstance(group.get("image"), h5py.Dataset):
        raise TumorlensError(f"{path.name}: expected the variable cjdata with a field image, found none")
    image = _load(group, "image").T
    if image.ndim != 2 or image.size == 0 or image.dtype.kind not in "iuf":
        raise TumorlensError(
            f"{path.name}: expected cjdata.image to be numbers (rows, columns), "
            f"got {image.dtype} of shape {image.shape}"
        )
    return image


def _read_group(path: Path, file: h5py.File) -> MatlabSlice:
    image, group = _image(path, file), file["cjdata"]
    mask = _values(group, "tumorMask")
    label = _values(group, "label")
    pid = _values(group, "PID")
    border = _values(group, "tumorBorder")
    return MatlabSlice(
        image=image,
        mask=None if mask is None else mask.T.astype(np.bool_),
        label=None if label is None else float(label.flat[0]),
        patient=None if pid is None else _text(pid),
        border=None if border is None else border.reshape(-1, 2).astype(np.float64),
    )


def _values(group: h5py.Group, name: str) -> NDArray[np.generic] | None:
    """A field's numbers; None where it is missing or, as MATLAB marks it, empty."""
    dataset = _own(group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.attrs.get("MATLAB_empty", 0):
        return None
    values = _load(group, name)
    return values if values.size and values.dtype.kind in "iufb" else None


def _own(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """A member that this very file holds: HDF5 can also point into any other file of the machine."""
    return group.get(name) if isinstance(group.get(name, getlink=True), h5py.HardLink) else None


def _load(group: h5py.Group, name: str) -> NDArray[np.generic]:
    dataset = _own(group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"cjdata.{name} lies in another file")
    if (dataset.size or 0) > _VALUES_LIMIT:
        raise ValueError(f"cjdata.{name} claims {dataset.size:,} values, more than any slice has")
    return np.asarray(dataset[()])


def _text(codes: NDArray[np.generic]) -> str | None:
    """MATLAB's characters, stored as UTF-16 code units."""
    return codes.astype(np.uint16).tobytes().decode("utf-16-le", errors="replace").strip("\0 ") or None


def _what_it_is(path: Path, error: Exception) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as failure:
        return f"can't be read: {failure.strerror}"
    if head.startswith(b"MATLAB 5.0"):
        return "expected a MATLAB v7.3 file, got v5; save it in MATLAB with the option '-v7.3'"
    if not is_matlab(head):
        return "expected a MATLAB v7.3 (HDF5) file, got something else; download it again"
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"is damaged or cut short ({reason}); download it again"
