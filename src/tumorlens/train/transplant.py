"""Another patient's lesion in a training slice: more lesions in more heads than were scanned.

After CarveMix (Zhang et al., MICCAI 2021): a region around the lesion of one slice replaces the same region
of another. Here the two slices are of the same view, since they look alike, and of the same tumor type, so
that the type stays true.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2.functional import gaussian_blur

from tumorlens.dataset import TumorDataset
from tumorlens.dataset.prepared import PreparedSlices
from tumorlens.train.lesion import dilated, without_lesion

_MOST = 48  # donors of a slice: those that look most like it
_ALIKE = 0.5  # correlation from which a slice may be a donor
_GRID = 24  # positions across, at which slices are compared
_ROWS = 256  # slices compared at a time, which bounds memory
_MOVED = 8  # pixels of the way that a lesion is moved at most, either way
_CLEARED = 0.7  # of the slices whose own lesion is removed first, where the slice's other half allows it
_INSIDE = 0.9  # share of a lesion that must come to lie in the head
_HEAD = 0.06  # brightness from which a pixel is of the head
_GAIN = (0.6, 1.6)  # by which a lesion is made darker or brighter, to fit where it comes to lie
_STREAM = 0x7A4B1D2C  # makes another seed of a seed, lest the draws be those of `Augmentation`


@dataclass(frozen=True)
class Donor:
    """A slice whose lesion another slice may get.

    Attributes:
        position: In the dataset.
        mirrored: Whether its mirror image is what looks alike.
    """

    position: int
    mirrored: bool


class Donors:
    """Which slices may give another their lesion: of the same type and view, and of other patients.

    Args:
        images: (slices, size, size) in [0, 1], of the whole dataset.
        labels: Of each slice, its tumor type.
        patients: Of each slice, whose it is.
        positions: The slices that may give and get, which are those of one side of a split.
    """

    def __init__(
        self,
        images: NDArray[np.float32],
        labels: Sequence[int],
        patients: Sequence[str],
        positions: Sequence[int],
    ) -> None:
        self._donors: dict[int, list[Donor]] = {}
        if not positions:
            return
        grid = torch.cat([_on_grid(images[position]) for position in positions])
        units = _unit(grid)
        both = torch.stack([units, _unit(grid.flip(-1))], dim=1).flatten(0, 1)  # as it is, mirrored, …
        label = torch.tensor([labels[position] for position in positions])
        patient = torch.tensor(
            np.unique([patients[position] for position in positions], return_inverse=True)[1]
        )
        for begin in range(0, len(positions), _ROWS):
            part = slice(begin, begin + _ROWS)
            alike = units[part] @ both.T
            unfit = (label[part, None] != label) | (patient[part, None] == patient)
            alike[unfit.repeat_interleave(2, dim=1)] = -2
            best = alike.topk(min(_MOST, alike.shape[1]), dim=1)
            for row, (values, indices) in enumerate(zip(best.values, best.indices, strict=True)):
                self._donors[int(positions[begin + row])] = [
                    Donor(int(positions[index // 2]), bool(index % 2))
                    for value, index in zip(values.tolist(), indices.tolist(), strict=True)
                    if value > _ALIKE
                ]

    @classmethod
    def among(cls, dataset: TumorDataset, slices: PreparedSlices, positions: Sequence[int]) -> Self:
        """Those among some of a dataset's slices."""
        labels = [entry.label.class_index for entry in dataset.entries]
        return cls(slices.images, labels, [entry.patient for entry in dataset.entries], positions)

    def of(self, position: int) -> Sequence[Donor]:
        """A slice's donors, the most alike first; none for a slice of another side."""
        return self._donors.get(position, [])


class Transplant:
    """Put another patient's lesion into a slice.

    The lesion comes with a little of what surrounds it, moved by a few pixels and as bright as its new
    surroundings, and fades into them. In most slices the lesion that was there is removed first, where the
    slice's other half allows it; else both stay.

    Args:
        slices: Of the whole dataset.
        donors: Whose lesions.
        probability: That a slice gets one.
    """

    def __init__(self, slices: PreparedSlices, donors: Donors, probability: float) -> None:
        self._slices = slices
        self._donors = donors
        self._probability = probability

    def __call__(self, image: Tensor, mask: Tensor, position: int, seed: int) -> tuple[Tensor, Tensor, bool]:
        """Change a slice, or not.

        Args:
            image: (1, size, size) in [0, 1].
            mask: (1, size, size), booleans.
            position: The slice's, in the dataset.
            seed: Decides every draw, whatever process this runs in.

        Returns:
            The slice and its mask, the same shapes and ranges, and whether they were changed.
        """
        generator = torch.Generator().manual_seed(seed ^ _STREAM)
        donors = self._donors.of(position)
        if _uniform(0, 1, generator) >= self._probability or not donors:
            return image, mask, False
        donor = donors[int(_uniform(0, len(donors), generator))]
        other, lesion = self._given(donor, generator)
        host, own = _cleared(image, mask) if _uniform(0, 1, generator) < _CLEARED else (image, mask)
        head = host > _HEAD
        ring = dilated(lesion, 15) & ~dilated(lesion, 5)
        if (head & lesion).sum() < _INSIDE * lesion.sum() or not lesion.any() or not (ring & head).any():
            return image, mask, False
        region = dilated(lesion, 2 * int(_uniform(1, 6, generator)) + 1)
        where: Tensor = gaussian_blur(region.float(), [9, 9], [_uniform(0.7, 2, generator)])
        gain = (host[ring & head].mean() / other[ring].mean().clamp(min=0.02)).clamp(*_GAIN)
        mixed = host * (1 - where) + (other * gain).clamp(0, 1) * where
        return mixed.clamp(0, 1), lesion | (own & ~region), True

    def _given(self, donor: Donor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A donor's picture and lesion, moved a little."""
        image = torch.tensor(self._slices.images[donor.position])[None]
        mask = torch.tensor(self._slices.masks[donor.position])[None]
        if donor.mirrored:
            image, mask = image.flip(-1), mask.flip(-1)
        down, right = (round(_uniform(-_MOVED, _MOVED, generator)) for _ in range(2))
        return _moved(image, down, right), _moved(mask, down, right)


def _cleared(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """A slice without its lesion, where it can be removed."""
    healthy = without_lesion(image, mask)
    return (image, mask) if healthy is None else (healthy, torch.zeros_like(mask))


def _moved(values: Tensor, down: int, right: int) -> Tensor:
    moved: Tensor = functional.pad(values, (right, -right, down, -down))
    return moved


def _on_grid(image: NDArray[np.float32]) -> Tensor:
    """(1, grid, grid)."""
    return functional.adaptive_avg_pool2d(torch.tensor(image)[None], _GRID)


def _unit(pictures: Tensor) -> Tensor:
    """(n, positions) whose products are correlations."""
    flat = pictures.flatten(1)
    centered = flat - flat.mean(1, keepdim=True)
    unit: Tensor = centered / centered.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return unit


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))
