"""Random changes of a lesion: another contrast of its own, or gone.

Dark and faint lesions are seen often enough, and so are brains without any.
"""

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2.functional import gaussian_blur

from tumorlens.train.recipe import AugmentationRecipe

_RING = 15  # pixels; the surroundings whose brightness a lesion is moved towards or away from
_SYMMETRIC = 0.78  # correlation with its mirror image above which a slice isn't sagittal
_GRID = 56  # positions across, on which the axis of symmetry is looked for
_STREAM = 0x5EED1E51  # makes another seed of a seed, lest the draws be those of `Augmentation`


class LesionChange:
    """Give a lesion, or only its core or its rim, another brightness and contrast; or remove it.

    The new mean lies between black and twice that of the lesion's surroundings, and its texture is kept in
    part. A lesion is removed by what lies opposite, where the slice is nearly symmetric and nothing of the
    lesion lies there. Afterwards the slice spans the range that it had: resizing takes something off the
    brightest spot of every slice, so that one that reached 1 would give itself away as changed. What a
    changed lesion looks like no longer tells its type.
    """

    def __init__(self, recipe: AugmentationRecipe) -> None:
        self._removed = recipe.healthy_probability
        self._changed = recipe.healthy_probability + recipe.lesion_probability

    def __call__(self, image: Tensor, mask: Tensor, seed: int) -> tuple[Tensor, Tensor, bool]:
        """Change a slice's lesion, or not.

        Args:
            image: (1, size, size) in [0, 1].
            mask: (1, size, size), booleans.
            seed: Decides every draw, whatever process this runs in.

        Returns:
            The slice and its mask, the same shapes and ranges, and whether they were changed.
        """
        generator = torch.Generator().manual_seed(seed ^ _STREAM)
        draw = float(torch.rand((), generator=generator))
        if draw >= self._changed or not mask.any():
            return image, mask, False
        if draw >= self._removed:
            return _spanning(_with_contrast(image, mask, generator), image), mask, True
        healthy = without_lesion(image, mask)
        if healthy is None:
            return image, mask, False
        return _spanning(healthy, image), torch.zeros_like(mask), True


def without_lesion(image: Tensor, mask: Tensor) -> Tensor | None:
    """A slice with its lesion replaced by what lies opposite.

    Args:
        image: (1, size, size) in [0, 1].
        mask: (1, size, size), booleans.

    Returns:
        (1, size, size); None where the slice isn't symmetric enough, the lesion reaches across, or what lies
        opposite is beyond the slice's edge.
    """
    shift, symmetry = _axis(image)
    where: Tensor = gaussian_blur(dilated(mask, 9).float(), [9, 9], [2.0])
    fit = _mirrored(~mask, shift)  # false beyond the edge, too
    if symmetry < _SYMMETRIC or ((where > 0) & ~fit).any():
        return None
    return image * (1 - where) + _mirrored(image, shift) * where


def _axis(image: Tensor) -> tuple[int, float]:
    """By how many pixels to move a slice's mirror image so that it fits best, and its correlation then."""
    small = functional.adaptive_avg_pool2d(image, _GRID)
    moves = range(-_GRID // 8, _GRID // 8 + 1)
    pictures = torch.stack([_mirrored(small, move).flatten() for move in moves])
    correlations = torch.corrcoef(torch.cat([small.flatten()[None], pictures]))[0, 1:].nan_to_num(-1)
    best = int(correlations.argmax())
    return round(moves[best] * image.shape[-1] / _GRID), float(correlations[best])


def _mirrored(values: Tensor, shift: int) -> Tensor:
    """The mirror image moved to the right by ``shift`` pixels; zeros where it has none."""
    return functional.pad(values.flip(-1), (shift, -shift))


def _with_contrast(image: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    region = mask.float()
    part = uniform(0, 1)
    if part < 0.5:  # the core or the rim alone, at a depth that goes with the lesion's size
        depth = uniform(0.05, 0.25) * float(mask.sum()) ** 0.5
        core = ~dilated(~mask, 2 * max(round(depth), 1) + 1)
        region = (core if part < 0.35 and core.any() else mask & ~core).float()
    where: Tensor = gaussian_blur(region, [9, 9], [uniform(0.5, 2.0)])
    ring = dilated(mask, _RING) & ~mask
    around = image[ring].mean() if ring.any() else image.mean()
    other = uniform(0, 2) * around + uniform(0.2, 1.2) * (image - image[mask].mean())
    return image * (1 - where) + other.clamp(0, 1) * where


def dilated(mask: Tensor, width: int) -> Tensor:
    """A mask (1, size, size) widened by a square of ``width`` pixels, an odd number."""
    half = width // 2
    rows = functional.max_pool2d(mask.float(), (width, 1), stride=1, padding=(half, 0))  # a square, one side
    return functional.max_pool2d(rows, (1, width), stride=1, padding=(0, half)).bool()  # after the other


def _spanning(image: Tensor, before: Tensor) -> Tensor:
    """A picture stretched or compressed to another's range."""
    unit = (image - image.min()) / (image.max() - image.min()).clamp(min=1e-6)
    low, high = before.min(), before.max()
    return (low + unit * (high - low)).clamp(low, high)
