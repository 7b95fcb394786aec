"""Where a scan's voxels must lie on the screen, worked out apart from the viewer.

Planes are shown as radiology does: axial with the patient's left at the right and posterior at the bottom,
coronal with left at the right and inferior at the bottom, sagittal with posterior at the right and inferior
at the bottom. Places count voxels from the scan's corner: [1.5, 0.5, 2.5] is the middle of voxel [1, 0, 2].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S"}
TO_RIGHT_AND_BOTTOM = {"axial": ("L", "P"), "coronal": ("L", "I"), "sagittal": ("P", "I")}
_ACROSS = {"S": "axial", "I": "axial", "A": "coronal", "P": "coronal", "L": "sagittal", "R": "sagittal"}
_LPS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}

Three = tuple[int, int, int]
Place = tuple[float, float, float]


@dataclass(frozen=True)
class Lie:
    """How a scan lies in the patient.

    Attributes:
        towards: Where slice, row and column numbers grow to, as letters.
        shape: Slices, rows, columns.
        spacing: Between slices, rows and columns in mm.
        origin: The middle of the first voxel, LPS in mm.
        is_known: Whether the scan says all this; if not, rows go down and columns to the right, and the
            planes across have the slices from top to bottom.
    """

    towards: str
    shape: Three
    spacing: Place
    origin: Place = (-12.5, 31.0, -77.25)
    is_known: bool = True

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4): from (slice, row, column, 1) to LPS in mm."""
        result = np.eye(4)
        for axis, letter in enumerate(self.towards):
            result[:3, axis] = np.array(_LPS[letter]) * self.spacing[axis]
        result[:3, 3] = self.origin
        return result

    def plane(self, normal: int) -> str:
        """The name of the plane across an axis of the scan (0 slices, 1 rows, 2 columns)."""
        return _ACROSS[self.towards[normal]]

    def letters(self, normal: int) -> dict[str, str]:
        """What lies at each side of that plane's picture."""
        right, bottom = TO_RIGHT_AND_BOTTOM[self.plane(normal)]
        return {"left": OPPOSITE[right], "right": right, "top": OPPOSITE[bottom], "bottom": bottom}

    def axes(self, normal: int) -> tuple[tuple[int, bool], tuple[int, bool]]:
        """The axes to the bottom and to the right, and whether they grow to the other side."""
        if not self.is_known:
            down, right = [(1, 2), (0, 2), (0, 1)][normal]
            return (down, False), (right, False)
        to_right, to_bottom = TO_RIGHT_AND_BOTTOM[self.plane(normal)]
        return self._axis(to_bottom), self._axis(to_right)

    def _axis(self, letter: str) -> tuple[int, bool]:
        is_turned = letter not in self.towards
        return self.towards.index(OPPOSITE[letter] if is_turned else letter), is_turned

    def section(self, volume: NDArray[np.uint8], normal: int, index: int) -> NDArray[np.uint8]:
        """The plane's picture out of a volume, rows from the top, columns from the left."""
        (down, is_down_turned), (right, is_right_turned) = self.axes(normal)
        picture: NDArray[np.uint8] = np.take(volume, index, axis=normal)
        if down > right:
            picture = picture.T
        return picture[:: -1 if is_down_turned else 1, :: -1 if is_right_turned else 1]

    def place(self, normal: int, voxel: Place) -> tuple[float, float]:
        """Column and row of the plane's picture at which a place of the scan lies."""
        (down, is_down_turned), (right, is_right_turned) = self.axes(normal)
        x = self.shape[right] - voxel[right] if is_right_turned else voxel[right]
        y = self.shape[down] - voxel[down] if is_down_turned else voxel[down]
        return x, y


@dataclass(frozen=True)
class Look:
    """What of a scan is on a canvas.

    Attributes:
        lie: The scan's.
        normal: The axis that the plane is across.
        width: Of the canvas, device pixels.
        height: The same.
        zoom: 1 where the whole picture just fits.
        center: The place of the scan in the middle of the canvas, as shares of slices, rows, columns.
    """

    lie: Lie
    normal: int
    width: int
    height: int
    zoom: float = 1.0
    center: Place = (0.5, 0.5, 0.5)

    @property
    def pixels_a_mm(self) -> float:
        """Device pixels."""
        (down, _), (right, _) = self.lie.axes(self.normal)
        sizes = np.array(self.lie.shape) * self.lie.spacing
        return float(self.zoom * min(self.width / sizes[right], self.height / sizes[down]))

    def size(self) -> tuple[float, float]:
        """Width and height of a pixel of the picture, in device pixels."""
        (down, _), (right, _) = self.lie.axes(self.normal)
        return self.pixels_a_mm * self.lie.spacing[right], self.pixels_a_mm * self.lie.spacing[down]

    def screen(self, voxel: Place) -> tuple[float, float]:
        """Where a place of the scan lies on the canvas, in device pixels."""
        middle = tuple(share * size for share, size in zip(self.center, self.lie.shape, strict=True))
        x, y = self.lie.place(self.normal, voxel)
        middle_x, middle_y = self.lie.place(self.normal, (middle[0], middle[1], middle[2]))
        width, height = self.size()
        return self.width / 2 + (x - middle_x) * width, self.height / 2 + (y - middle_y) * height

    def middles(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Across (columns,) and down (rows,): where the middles of the picture's pixels lie on the canvas."""
        (down, _), (right, _) = self.lie.axes(self.normal)
        corner = [0.0, 0.0, 0.0]
        for axis, is_turned in self.lie.axes(self.normal):
            corner[axis] = float(self.lie.shape[axis]) if is_turned else 0.0
        left, top = self.screen((corner[0], corner[1], corner[2]))
        width, height = self.size()
        return (
            left + (np.arange(self.lie.shape[right]) + 0.5) * width,
            top + (np.arange(self.lie.shape[down]) + 0.5) * height,
        )


def middle_of(weights: NDArray[np.number | np.bool_]) -> tuple[float, float]:
    """The center of gravity, in device pixels; a pixel's middle is at .5."""
    shares = weights.astype(np.float64)
    assert shares.sum() > 0
    shares /= shares.sum()
    rows, columns = np.indices(shares.shape)
    return float(((columns + 0.5) * shares).sum()), float(((rows + 0.5) * shares).sum())
