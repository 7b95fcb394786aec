"""Models whose answers a test knows beforehand, and a shape that shows every mistake of geometry."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tumorlens.ensemble import Batch, Outputs


@dataclass
class Outliner:
    """Outlines whatever is brighter than the middle; remembers what it was fed."""

    size: int = 96
    fed: list[Batch] = field(default_factory=list)

    def __call__(self, batch: Batch) -> Outputs:
        self.fed.append(batch)
        return Outputs(mask_logits=(40 * (batch[:, 0] - 0.5)).astype(np.float32))


@dataclass
class Namer:
    """Gives every slice the same logits."""

    logits: tuple[float, float, float] = (1.0, 3.0, 2.0)
    size: int = 64

    def __call__(self, batch: Batch) -> Outputs:
        return Outputs(class_logits=np.tile(np.float32(self.logits), (len(batch), 1)))


@dataclass
class Pointer:
    """Says glioma for what is bright, and that the bright positions of a coarse map were why."""

    size: int = 96
    cells: int = 24

    def __call__(self, batch: Batch) -> Outputs:
        step = self.size // self.cells
        bright = batch[:, 0].reshape(len(batch), self.cells, step, self.cells, step).mean((2, 4))
        maps = np.stack([np.zeros_like(bright), bright, 0.25 * bright], axis=1)
        return Outputs(class_logits=maps.sum((2, 3)) / self.cells, class_maps=maps)


@dataclass
class Saying:
    """Says what it is told to say."""

    say: Callable[[Batch], Outputs]
    size: int = 32

    def __call__(self, batch: Batch) -> Outputs:
        return self.say(batch)


def block(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """An L off every axis of symmetry: mirrored, turned or transposed, it would lie elsewhere."""
    mask = np.zeros(shape, np.bool_)
    rows, columns = shape
    mask[rows // 8 : rows // 2, columns // 2 : columns * 5 // 8] = True
    mask[rows * 3 // 8 : rows // 2, columns // 2 : columns * 7 // 8] = True
    return mask


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Common share of two masks."""
    return float((a & b).sum() / (a | b).sum())
