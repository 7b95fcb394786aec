"""From a dataset and a split to batches, the same in whatever process and wherever training resumes."""

from bisect import bisect_left
from collections.abc import Iterator

import lightning as L  # noqa: N812 - the name that Lightning's own documentation uses
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from tumorlens.dataset import TumorDataset
from tumorlens.dataset.prepared import PreparedSlices, prepare_dataset
from tumorlens.train.changes import Changes
from tumorlens.train.recipe import Recipe
from tumorlens.train.share import Batch, Draw, Order, Share, ShareSampler
from tumorlens.train.split import Side, Split
from tumorlens.train.transplant import Donors


class EpochSampler(Sampler[Draw]):
    """Every slice once an epoch, in an order that only the seed and the epoch decide."""

    def __init__(self, positions: list[int], seed: int) -> None:
        self._positions = positions
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's order; Lightning calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[Draw]:
        generator = torch.Generator().manual_seed(mixed_seed(self._seed, self._epoch))
        for index in torch.randperm(len(self._positions), generator=generator).tolist():
            yield Draw(self._positions[index], self._epoch)


class SliceDataset(Dataset[Batch]):
    """Slices by `Share`; augmented where a recipe says how, with lesions of donors where it wants them."""

    def __init__(
        self,
        prepared: PreparedSlices,
        labels: list[int],
        recipe: Recipe | None = None,
        donors: Donors | None = None,
    ) -> None:
        self._prepared = prepared
        self._labels = labels
        self._seed = recipe.training.seed if recipe else 0
        self._ends: tuple[int, ...] = ()
        self._phases: list[Changes] = []
        if recipe is not None:
            self._ends = recipe.training.phase_ends
            self._phases = [
                Changes(augmentation, recipe.size, prepared, donors) for augmentation in recipe.augmentations
            ]

    def __getitem__(self, share: Share) -> Batch:
        image, mask, label, natural = default_collate([self._slice(draw) for draw in share.draws])
        counted = torch.arange(len(share.draws)) < len(share.draws) - share.fillers
        return Batch(image, mask, label, natural, counted)

    def _slice(self, draw: Draw) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        image = torch.tensor(self._prepared.images[draw.position]).unsqueeze(0)
        mask = torch.tensor(self._prepared.masks[draw.position]).unsqueeze(0)
        natural = True
        if self._phases:
            change = self._phases[bisect_left(self._ends[:-1], draw.epoch)]
            seed = mixed_seed(self._seed, draw.epoch, draw.position)
            image, mask, natural = change(image, mask, draw.position, seed)
        return image, mask, torch.tensor(self._labels[draw.position]), torch.tensor(natural)


class SliceDataModule(L.LightningDataModule):
    """Batches of a split's training and validation slices: a rank's share of each step."""

    def __init__(
        self, dataset: TumorDataset, split: Split, recipe: Recipe, rank: int = 0, world: int = 1
    ) -> None:
        super().__init__()
        self._recipe = recipe
        self._rank = rank
        self._world = world
        self._prepared = prepare_dataset(dataset, recipe.size)
        self._labels = [entry.label.class_index for entry in dataset.entries]
        self._dataset = dataset
        self._positions = {side: split.positions(dataset, side) for side in Side}

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps an epoch."""
        return -(-len(self._positions[Side.TRAIN]) // self._recipe.training.batch_size)

    def slices(self, side: Side) -> int:
        """How many slices a side has."""
        return len(self._positions[side])

    def train_dataloader(self) -> DataLoader[Batch]:
        """Augmented, in a new order every epoch."""
        training = self._recipe.training
        dataset = SliceDataset(self._prepared, self._labels, self._recipe, self._donors())
        sampler = EpochSampler(self._positions[Side.TRAIN], training.seed)
        return self._loader(dataset, sampler, training.workers)

    def val_dataloader(self) -> DataLoader[Batch]:
        """As they are, in the dataset's order."""
        dataset = SliceDataset(self._prepared, self._labels)
        return self._loader(dataset, [Draw(position, 0) for position in self._positions[Side.VALIDATION]], 0)

    def _donors(self) -> Donors | None:
        """Of the training slices alone; None where no phase wants any."""
        if not self._recipe.has_transplants:
            return None
        return Donors.among(self._dataset, self._prepared, self._positions[Side.TRAIN])

    def _loader(self, dataset: SliceDataset, order: Order, workers: int) -> DataLoader[Batch]:
        return DataLoader(
            dataset,
            batch_size=None,  # a share is a batch already
            sampler=ShareSampler(order, self._recipe.training.batch_size, self._rank, self._world),
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(0),
            worker_init_fn=_one_thread,
        )


def _one_thread(worker: int) -> None:
    """Augmentation in a worker stays off the cores that train."""
    del worker
    torch.set_num_threads(1)


def mixed_seed(*numbers: int) -> int:
    """One seed from several, alike on every platform; neighbours give unrelated seeds (FNV-1a, 63 bits)."""
    mixed = 0xCBF29CE484222325
    for number in numbers:
        for byte in number.to_bytes(8, "little", signed=True):
            mixed = ((mixed ^ byte) * 0x100000001B3) % 2**64
    return mixed % 2**63
