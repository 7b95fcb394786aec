"""How much a picture looks like a T1 contrast-enhanced brain slice; numpy and Pillow, no network.

A picture is described by where its edges run and which way they face (a histogram of oriented gradients on
7 x 7 cells, after Dalal and Triggs, CVPR 2005, but telling dark-to-bright from bright-to-dark), by its gray
values (histograms of all of it and of its middle) and by how strong and how sparse its detail is at four
scales. Gray values count relative to the 99th percentile, so that one bright spot doesn't matter.

In that space a sum of Gaussians learns, by ridge regression, to be 1 on slices, also when a little moved,
zoomed, coarser, brighter or darker, and 0 on the same slices lying on their side or upside down, the one
strange thing that is no great distance away. Far from everything it is 0 by itself: whatever else a picture
may be, nobody need have thought of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.errors import TumorlensError
from tumorlens.resample import resized

_SIDE = 224  # pictures are described at this size
_CELLS, _DIRECTIONS, _LEVELS, _SCALES = 7, 8, 24, 4
_EDGES = _CELLS * _CELLS * _DIRECTIONS
_HALF_TURN = np.array([[1, 0], [0.5**0.5, 0.5**0.5], [0, 1], [-(0.5**0.5), 0.5**0.5]], np.float32)
"""The first half of the directions (right, down); the others are opposite."""
_PLACES = np.arange(_EDGES).reshape(_CELLS, _CELLS, _DIRECTIONS)
_FEATURES = _EDGES + 2 * _LEVELS + 3 * _SCALES

_VARIANTS = 3  # of each slice, that are to be as familiar as itself
_EXAMPLES = 20_000  # at most, of familiar and of strange pictures
_AXES = 80  # principal axes kept
_CENTERS = (1400, 600)  # of Gaussians, on familiar and on strange pictures
_WIDTH = 0.5  # of a Gaussian, in distances to the sixth nearest center
_RIDGE = 1e-3
_SMOOTH, _AFFINE = Image.Resampling.BILINEAR, Image.Transform.AFFINE

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Scores how strange pictures look; fitted by `fit`, restored by `from_arrays`.

    Attributes:
        mean: (features,), of familiar pictures.
        axes: (features, d), principal axes, scaled so that a Gaussian's width is 1.
        centers: (m, d), of the Gaussians.
        weights: (m,), of the Gaussians.
    """

    mean: Array
    axes: Array
    centers: Array
    weights: Array

    @classmethod
    def fit(cls, images: Array, seed: int = 0) -> "Familiarity":
        """Learn what slices look like.

        Args:
            images: (n, size, size) in [0, 1], as `preprocess.prepare_image` gives them; n ≥ 2.
            seed: For the slices' variants and the choice of centers.

        Raises:
            ValueError: The images have another shape, are fewer, or hold NaN or infinity.
        """
        if len(images) < 2:
            raise ValueError(f"expected at least 2 slices to learn from, got {len(images)}")
        random = np.random.default_rng(seed)
        slices = _describe(images)
        variants = [_features(_variant(image, random)) for image in images for _ in range(_VARIANTS)]
        upright = np.concatenate([slices, np.stack(variants)])
        upright = np.concatenate([upright, _mirrored(upright)])
        mean = upright.mean(axis=0)
        axes = _principal_axes(upright - mean)
        turned = np.concatenate([_turned(upright, quarters) for quarters in (1, 2, 3)])
        familiar = random.permutation((upright - mean) @ axes)[:_EXAMPLES]
        strange = random.permutation((turned - mean) @ axes)[:_EXAMPLES]
        scale = 1 / (_WIDTH * _typical_distance(familiar, familiar[: _CENTERS[0]]))
        centers = np.concatenate([familiar[: _CENTERS[0]], strange[: _CENTERS[1]]]) * scale
        return cls(mean, axes * scale, centers, _regress(familiar * scale, strange * scale, centers))

    def __call__(self, images: Array) -> NDArray[np.float64]:
        """How strange pictures look.

        Args:
            images: (n, size, size) in [0, 1], as `preprocess.prepare_image` gives them.

        Returns:
            (n,) from 0, as familiar as can be, to about 1, like nothing known or like a slice turned over;
            the same for mirror images.

        Raises:
            ValueError: The images have another shape or hold NaN or infinity.
        """
        features = _describe(images)
        both = self._strangeness(np.concatenate([features, _mirrored(features)]))
        return np.minimum(both[: len(features)], both[len(features) :])

    def _strangeness(self, features: Array) -> NDArray[np.float64]:
        points = (features - self.mean) @ self.axes
        squares: Array = (points**2).sum(axis=1)[:, None] + self._squares - 2 * points @ self._across
        near = np.exp(np.maximum(squares, 0) / -2)
        return np.maximum(1 - (near @ self.weights).astype(np.float64), 0)

    @cached_property
    def _squares(self) -> Array:
        return np.asarray((self.centers**2).sum(axis=1))

    @cached_property
    def _across(self) -> Array:
        """The centers, transposed in memory as well: a product with them takes a fifth of the time."""
        return np.ascontiguousarray(self.centers.T)

    def arrays(self) -> dict[str, Array]:
        """What `from_arrays` needs, to be stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Familiarity":
        """Restore a detector from what `arrays` gave.

        Raises:
            TumorlensError: An array is missing, has another shape or type, or holds NaN or infinity.
        """
        given = {name: np.asarray(arrays.get(name)) for name in ("mean", "axes", "centers", "weights")}
        m, d = len(np.atleast_1d(given["weights"])), given["axes"].size // _FEATURES
        expected = {"mean": (_FEATURES,), "axes": (_FEATURES, d), "centers": (m, d), "weights": (m,)}
        for name, array in given.items():
            sound = array.shape == expected[name] and array.size and array.dtype.kind == "f"
            if not sound or not np.isfinite(array).all():
                came = f"expected finite numbers {expected[name]}, got {array.dtype} {array.shape}"
                raise TumorlensError(f"familiarity, {name}: {came}; get the file again")
        return cls(**{name: array.astype(np.float32) for name, array in given.items()})


def _describe(images: Array) -> Array:
    """(n, size, size) to (n, features)."""
    if images.ndim != 3 or images.shape[1] != images.shape[2] or not images.shape[1]:
        raise ValueError(f"expected pictures (n, size, size), got shape {images.shape}")
    if not np.isfinite(images).all():
        raise ValueError("expected finite pixel values, got NaN or infinity")
    return np.array([_features(_resized(image)) for image in images]).reshape(-1, _FEATURES)


def _features(picture: Array) -> Array:
    coarse = _halved(picture)
    place = coarse.size * 99 // 100
    bright = max(float(np.partition(coarse, place, axis=None)[place]), 1e-3)
    planes = [(picture * np.float32(1 / bright)).clip(0, 1)]
    for _ in range(_SCALES):
        planes.append(_halved(planes[-1]))
    half, middle = planes[1], planes[1][_SIDE // 8 : -_SIDE // 8, _SIDE // 8 : -_SIDE // 8]
    detail = [_detail(plane, coarser) for plane, coarser in pairwise(planes)]
    return np.concatenate([_edges(half), _gray_values(half), _gray_values(middle), *detail])


def _halved(plane: Array) -> Array:
    """Means of 2 x 2 pixels."""
    rows = plane[::2] + plane[1::2]
    return np.asarray((rows[:, ::2] + rows[:, 1::2]) * np.float32(0.25))


def _edges(plane: Array) -> Array:
    """Root of the edges' strength by cell and direction, relative to all of the plane's, (392,)."""
    side = len(plane)
    slopes = np.zeros((2, side, side), np.float32)  # to the right and downwards
    np.subtract(plane[:, 2:], plane[:, :-2], out=slopes[0, :, 1:-1])
    np.subtract(plane[2:], plane[:-2], out=slopes[1, 1:-1])
    strength = slopes[0] ** 2 + slopes[1] ** 2 + np.float32(1e-12)
    along = (_HALF_TURN @ slopes.reshape(2, -1)).reshape(-1, side, side)
    narrow = along**2 * along / strength  # the strength times the third power of the cosine
    cell_of = np.repeat(np.eye(_CELLS, dtype=np.float32), side // _CELLS, axis=1)
    net, forward = (cell_of @ part @ cell_of.T for part in (narrow, np.maximum(narrow, 0)))
    cells = np.concatenate([forward, forward - net]).transpose(1, 2, 0)
    cells = np.maximum(cells, 0) * np.float32((_CELLS / side) ** 2)  # differences may fall below by rounding
    return np.asarray(np.sqrt(cells / (cells.sum() + np.float32(0.5))).ravel(), np.float32)


def _gray_values(plane: Array) -> Array:
    """Roots of the gray levels' shares, (24,)."""
    levels = (plane.ravel() * np.float32(_LEVELS - 1e-3)).astype(np.intp)
    return np.sqrt(np.bincount(levels, minlength=_LEVELS) / levels.size).astype(np.float32)


def _detail(plane: Array, coarser: Array) -> Array:
    """Logarithms of three means of what ``coarser`` lacks; how they differ tells how sparse it is, (3,)."""
    places = [(row, column) for row in (0, 1) for column in (0, 1)]  # of pixels in what became one
    apart = np.empty((len(places), *coarser.shape), np.float32)
    for into, (row, column) in zip(apart, places, strict=True):
        np.subtract(plane[row::2, column::2], coarser, out=into)
    lost = np.abs(apart, out=apart).ravel()
    means = [np.sqrt(lost).mean() ** 2, lost.mean(), np.sqrt(lost @ lost / lost.size)]
    return np.asarray(np.log(np.add(means, 1e-4)), np.float32)


def _mirrored(features: Array) -> Array:
    """The features of the pictures' mirror images: cells change places, rightward becomes leftward."""
    directions = (_DIRECTIONS // 2 - np.arange(_DIRECTIONS)) % _DIRECTIONS
    return _with_edges_from(features, _PLACES[:, ::-1][..., directions])


def _turned(features: Array, quarters: int) -> Array:
    """The features of the pictures turned counterclockwise."""
    places = np.roll(np.rot90(_PLACES, quarters), -quarters * _DIRECTIONS // 4, axis=-1)
    return _with_edges_from(features, places)


def _with_edges_from(features: Array, places: NDArray[np.intp]) -> Array:
    return np.hstack([features[:, places.ravel()], features[:, _EDGES:]])


def _variant(picture: Array, random: np.random.Generator) -> Array:
    """A slice as others might have taken it: moved a little, zoomed, coarser, with another gamma."""
    picture = _resized(picture)
    angle, zoom = np.deg2rad(random.uniform(-12, 12)), np.exp(random.uniform(-0.2, 0.2))
    a, b = np.cos(angle) / zoom, np.sin(angle) / zoom
    x, y = _SIDE * random.uniform(0.44, 0.56, 2)
    matrix = (a, b, _SIDE / 2 - a * x - b * y, -b, a, _SIDE / 2 + b * x - a * y)
    moved = Image.fromarray(picture).transform(picture.shape, _AFFINE, matrix, _SMOOTH)
    coarser = moved.resize((int(random.integers(100, _SIDE)),) * 2, _SMOOTH)
    return _resized(np.asarray(coarser)) ** np.float32(np.exp(random.uniform(-0.45, 0.45)))


def _resized(picture: Array) -> Array:
    return np.asarray(resized(picture, _SIDE), np.float32)


def _principal_axes(familiar: Array) -> Array:
    """Axes on which centered features are compared, (features, d).

    Edges, the two histograms and detail are first brought to a spread of 1, 0.5, 0.5 and 0.5; along an axis
    of standard deviation s, a difference then counts s^-0.7 times: between not whitened and whitened.
    """
    groups = np.split(familiar.var(axis=0), [_EDGES, _EDGES + _LEVELS, _EDGES + 2 * _LEVELS])
    scale = np.concatenate([np.full(len(group), 0.5 / np.sqrt(group.sum() + 1e-9)) for group in groups])
    scale[:_EDGES] *= 2
    variances, vectors = np.linalg.eigh(np.cov((familiar * scale).T))
    whitening = variances[-_AXES:].clip(1e-6) ** -0.35
    return np.asarray(scale[:, None] * vectors[:, -_AXES:] * whitening, np.float32)


def _squared_distances(points: NDArray[np.floating], centers: Array) -> Array:
    squares = (points**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1) - 2 * points @ centers.T
    return np.asarray(np.maximum(squares, 0))


def _typical_distance(points: Array, centers: Array) -> np.float32:
    """Median distance of points to their sixth nearest center."""
    squares = _squared_distances(points[:: max(len(points) // 1000, 1)], centers)
    squares.sort(axis=1)
    return np.float32(max(np.sqrt(np.median(squares[:, :6][:, -1])), 1e-6))


def _regress(familiar: Array, strange: Array, centers: Array) -> Array:
    """Weights of the Gaussians: ridge regression to 1 and to 0, either side weighing the same."""
    near, far = (np.exp(_squared_distances(points, centers) / -2) for points in (familiar, strange))
    moments = near.T @ near / np.float32(len(near)) + far.T @ far / np.float32(len(far))
    ridge = _RIDGE / len(centers) * np.eye(len(centers))
    return np.asarray(np.linalg.solve(moments + ridge, near.mean(axis=0)), np.float32)
