"""How slices lie in the patient, and how they are turned to be looked at.

Affines here bring an index (slice, row, column, 1) to millimetres. DICOM counts x to the patient's left, y to
posterior and z to superior (LPS), NIfTI x to the right, y to anterior and z to superior (RAS).
"""

from enum import StrEnum
from functools import lru_cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From LPS to RAS, and back."""

_LEAST_ANISOTROPY = 1.5  # slices this much thicker than their pixels were acquired in that plane


class Plane(StrEnum):
    """Along which plane of the patient slices lie, or nearly so."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


# Where slice, row and column numbers grow to, as the published slices lie.
_TOWARDS = {
    Plane.AXIAL: ("S", "P", "L"),
    Plane.CORONAL: ("P", "I", "L"),
    Plane.SAGITTAL: ("R", "I", "P"),
}
_ALONG = {0: Plane.SAGITTAL, 1: Plane.CORONAL, 2: Plane.AXIAL}  # by the patient's axis that slices follow on


def plane_of(affine_lps: NDArray[np.float64]) -> Plane:
    """The plane that slices lie in, by the direction in which they follow on each other."""
    return _ALONG[int(_orientation(LPS_RAS @ affine_lps)[0, 0])]


def slice_distance(affine: NDArray[np.float64]) -> float:
    """How far apart neighbouring slices are along their normal, in mm.

    Less than their centers where each is moved sideways against the one before, as with a tilted gantry.
    """
    step, column, row = affine[:3, :3].T
    normal = np.cross(column, row)
    return float(abs(step @ normal) / np.linalg.norm(normal))


def best_plane(affine_ras: NDArray[np.float64], shape: tuple[int, ...]) -> Plane:
    """The plane that a volume (any order of axes) was acquired in.

    That across its only slice, else across its thickest voxels, else axial.

    Args:
        affine_ras: (4, 4), of the volume.
        shape: Of the volume, three sizes.
    """
    along = _orientation(affine_ras)[:, 0]
    if sorted(shape)[:2].count(1) == 1:  # one size is 1, the others aren't
        return _ALONG[int(along[shape.index(1)])]
    sizes = np.linalg.norm(affine_ras[:3, :3], axis=0)
    thickest = int(sizes.argmax())
    if sizes[thickest] < _LEAST_ANISOTROPY * np.median(sizes):
        return Plane.AXIAL
    return _ALONG[int(along[thickest])]


def turn_to(affine_ras: NDArray[np.float64], plane: Plane) -> NDArray[np.float64]:
    """How a volume's axes are to be permuted and flipped for slices of a plane; (3, 2), nibabel's form."""
    wanted = _orientations().axcodes2ornt(_TOWARDS[plane])
    turn: NDArray[np.float64] = _orientations().ornt_transform(_orientation(affine_ras), wanted)
    return turn


def turned(values: NDArray[np.generic], turn: NDArray[np.float64]) -> NDArray[np.generic]:
    """A volume's values with axes permuted and flipped; a view of them."""
    result: NDArray[np.generic] = _orientations().apply_orientation(values, turn)
    return result


def turned_back(values: NDArray[np.generic], turn: NDArray[np.float64]) -> NDArray[np.generic]:
    """The inverse of `turned`."""
    back = np.empty_like(turn)
    for axis, (to, flip) in enumerate(turn):
        back[int(to)] = (axis, flip)
    return turned(values, back)


def turned_affine(
    affine: NDArray[np.float64], turn: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """The affine of a volume of ``shape`` after `turned`."""
    result: NDArray[np.float64] = affine @ _orientations().inv_ornt_aff(turn, shape)
    return result


def turned_back_affine(
    affine: NDArray[np.float64], turn: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """The inverse of `turned_affine`; ``shape`` is again that of the volume before it was turned."""
    result: NDArray[np.float64] = affine @ np.linalg.inv(_orientations().inv_ornt_aff(turn, shape))
    return result


def _orientation(affine_ras: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along which of the patient's axes each of a volume's runs, and which way; (3, 2), nibabel's form."""
    return _orientation_of(np.ascontiguousarray(affine_ras[:3, :3], np.float64).tobytes()).copy()


@lru_cache(maxsize=256)  # an archive's slices lie in few directions, and each takes as long as its header
def _orientation_of(directions: bytes) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = np.frombuffer(directions, np.float64).reshape(3, 3)
    orientation: NDArray[np.float64] = _orientations().io_orientation(affine)
    return orientation


def _orientations() -> ModuleType:
    """nibabel's, imported at first use: it takes a while to load, and pictures don't need it."""
    from nibabel import orientations

    return orientations
