"""A step's slices, divided among ranks and, on each, into parts that fit its device.

A recipe's batch size counts the slices of a step of the optimizer, on however many devices. Each rank gets
its share of them and works it off in parts, one after the other; the weights of the parts' losses are such
that the step's gradient is that of the mean over all of its slices. Ranks wait for each other, so that all
have as many slices to work on: where one has fewer, a slice comes again that counts for nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import Sampler
from torchmetrics import Metric


class Batch(NamedTuple):
    """What a network learns from: a rank's share of a step, or a part of it.

    Attributes:
        image: (n, 1, size, size) in [0, 1].
        mask: (n, 1, size, size), booleans.
        label: (n,), class index 0 to 2.
        natural: (n,), booleans; false where the lesion was changed or removed, so that it teaches no type.
        counted: (n,), booleans; false where a slice only fills the share. All count if None.
        weight: (3,); what a mean over the batch's slices, over the natural ones and over those with a tumor
            is multiplied by, to be the batch's part in the step's mean. 1 where the batch is a whole step.
    """

    image: Tensor
    mask: Tensor
    label: Tensor
    natural: Tensor
    counted: Tensor | None = None
    weight: Tensor = torch.ones(3)


@dataclass(frozen=True)
class Draw:
    """A slice in an epoch; together with the recipe's seed it decides the slice's augmentation."""

    position: int
    epoch: int


@dataclass(frozen=True)
class Share:
    """A rank's slices of a step; the last ``fillers`` of them count for nothing."""

    draws: tuple[Draw, ...]
    fillers: int = 0


class Order(Protocol):
    """Draws in the order of an epoch."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Draw]: ...


class ShareSampler(Sampler[Share]):
    """A rank's share of each step of an epoch, the order being the same on every rank."""

    def __init__(self, order: Order, batch_size: int, rank: int = 0, world: int = 1) -> None:
        self._order = order
        self._batch_size = batch_size
        self._rank = rank
        self._world = world

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's order; Lightning calls this."""
        chosen = getattr(self._order, "set_epoch", None)
        if chosen is not None:
            chosen(epoch)

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __iter__(self) -> Iterator[Share]:
        draws = list(self._order)
        for start in range(0, len(draws), self._batch_size):
            yield share_of(draws[start : start + self._batch_size], self._rank, self._world)


def share_of(draws: Sequence[Draw], rank: int, world: int) -> Share:
    """A rank's share of a step, filled up to the size of the largest one.

    Args:
        draws: Of the step, at least one.
        rank: From 0 to ``world`` - 1.
        world: How many ranks there are.
    """
    own = tuple(draws[len(draws) * rank // world : len(draws) * (rank + 1) // world])
    fillers = -(-len(draws) // world) - len(own)
    return Share(own + (draws[0],) * fillers, fillers)


def parts_of(batch: Batch, at_once: int | None) -> list[Batch]:
    """Divide a share into as few parts as can be of at most ``at_once`` slices, all of about the same size.

    A slice that doesn't count is left out, unless its part has no other. There are as many parts on every
    rank, since shares are alike in size.
    """
    size = len(batch.image)
    count = -(-size // at_once) if at_once else 1
    if count == 1 and (batch.counted is None or bool(batch.counted.all())):
        return [batch]
    counted = torch.ones(size, dtype=torch.bool) if batch.counted is None else batch.counted.cpu()
    parts = []
    for number in range(count):
        places = torch.arange(size * number // count, size * (number + 1) // count)
        real = places[counted[places]]
        chosen = (real if len(real) else places[:1]).to(batch.image.device)
        parts.append(
            Batch(
                batch.image[chosen],
                batch.mask[chosen],
                batch.label[chosen],
                batch.natural[chosen],
                counted[chosen.cpu()].to(batch.image.device),
            )
        )
    return parts


def weighted(parts: list[Batch], world: int, total: Callable[[Tensor], Tensor]) -> tuple[list[Batch], Tensor]:
    """Give each part of a share the weights of its losses.

    The ranks' gradients are averaged and those of the parts summed, so that a part's weight is its share of
    the step's slices times ``world``.

    Args:
        parts: Of this rank's share.
        world: How many ranks there are.
        total: Adds up a tensor over all ranks.

    Returns:
        The parts, and how many slices the step has on all ranks: all, natural ones, those with a tumor.
    """
    if world == 1 and len(parts) == 1:
        return parts, counts(parts[0])
    each = torch.stack([counts(part) for part in parts])
    whole = total(each.sum(0))
    weights = world * each / whole.clamp(min=1)
    return [part._replace(weight=weight) for part, weight in zip(parts, weights, strict=True)], whole


def counts(batch: Batch) -> Tensor:
    """(3,): how many slices count, how many of them are natural, and how many show a tumor."""
    every = torch.ones_like(batch.natural)
    counted = every if batch.counted is None else batch.counted
    shown = batch.mask.flatten(1).any(1)
    return torch.stack([(counted & which).sum() for which in (every, batch.natural, shown)]).float()


class MeanOverSlices(Metric):
    """The mean of a value over all slices of an epoch, on all ranks, each counted once."""

    full_state_update = False
    total: Tensor
    slices: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("slices", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, total: Tensor, slices: Tensor) -> None:
        """Add a batch's value, summed over its slices, and how many they are."""
        self.total = self.total + total
        self.slices = self.slices + slices

    def compute(self) -> Tensor:
        """The mean."""
        return self.total / self.slices
