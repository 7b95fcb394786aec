"""Batches follow from the seed and the epoch: not from the process, nor from what came before."""

from collections.abc import Iterator

import pytest
import torch
from torch.utils.data import DataLoader

from tests.train.tiny import tiny_recipe
from tumorlens.analyze import Analyzer
from tumorlens.dataset import TumorDataset
from tumorlens.ensemble import Ensemble, Outputs
from tumorlens.scan import read_scan
from tumorlens.train.datamodule import Batch, SliceDataModule
from tumorlens.train.recipe import Recipe
from tumorlens.train.split import Side, make_split

CHANGES = (
    "augmentation.probability=1",
    "augmentation.crop=0.7",
    "augmentation.rotation=20",
    "augmentation.lesion_probability=0.5",
)


def module_of(dataset: TumorDataset, recipe: Recipe) -> SliceDataModule:
    return SliceDataModule(dataset, make_split(dataset, recipe.split), recipe)


def epoch_of(loader: DataLoader[Batch], epoch: int) -> list[Batch]:
    loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
    return list(loader)


def same(ours: list[Batch], theirs: list[Batch]) -> bool:
    return len(ours) == len(theirs) and all(
        torch.equal(a, b) for pair in zip(ours, theirs, strict=True) for a, b in zip(*pair, strict=True)
    )


def slices(batches: list[Batch]) -> Iterator[tuple[torch.Tensor, int]]:
    for batch in batches:
        yield from zip(batch.image, batch.label.tolist(), strict=True)


def test_batches_are_the_same_from_a_worker_process(tiny: TumorDataset) -> None:
    here = module_of(tiny, tiny_recipe(*CHANGES)).train_dataloader()
    worker = module_of(tiny, tiny_recipe(*CHANGES, "training.workers=1")).train_dataloader()
    assert worker.num_workers == 1
    for epoch in (0, 1, 5):
        assert same(epoch_of(here, epoch), epoch_of(worker, epoch))


def test_batches_of_an_epoch_do_not_depend_on_the_epochs_before(tiny: TumorDataset) -> None:
    recipe = tiny_recipe(*CHANGES)
    straight, resumed = (module_of(tiny, recipe).train_dataloader() for _ in range(2))
    for epoch in range(3):
        last = epoch_of(straight, epoch)
    assert same(last, epoch_of(resumed, 2))


def test_every_epoch_has_every_slice_once_in_an_order_of_its_own(tiny: TumorDataset) -> None:
    loader = module_of(tiny, tiny_recipe("augmentation.probability=0")).train_dataloader()
    first, second = (torch.cat([batch.image for batch in epoch_of(loader, epoch)]) for epoch in (0, 1))
    assert len(first) == 12
    assert not torch.equal(first, second)
    key = [tuple(image.flatten()[:50].tolist()) for image in first]
    assert sorted(key) == sorted(tuple(image.flatten()[:50].tolist()) for image in second)
    assert len(set(key)) == 12


def test_epochs_change_a_slice_differently(tiny: TumorDataset) -> None:
    loader = module_of(tiny, tiny_recipe(*CHANGES)).train_dataloader()
    first, second = (list(slices(epoch_of(loader, epoch))) for epoch in (0, 1))
    assert not any(torch.equal(image, other) for image, _ in first for other, _ in second)


def test_a_phase_s_own_changes_are_made_in_its_epochs_alone(tiny: TumorDataset) -> None:
    turned = "augmentation: {probability: 1, rotation: 40}"
    phases = ", ".join(
        f"{{epochs: {n}, learning_rate: 1.0e-3, {more}}}" for n, more in ((2, ""), (1, turned), (1, ""))
    )
    plain = module_of(tiny, tiny_recipe("augmentation.probability=0")).train_dataloader()
    phased = module_of(
        tiny, tiny_recipe("augmentation.probability=0", f"training.phases=[{phases}]")
    ).train_dataloader()
    as_it_is = [same(epoch_of(plain, epoch), epoch_of(phased, epoch)) for epoch in range(4)]
    assert as_it_is == [True, True, False, True]


def test_each_slice_of_a_batch_has_a_draw_of_its_own(tiny: TumorDataset) -> None:
    recipe = tiny_recipe("augmentation.probability=0.5", "augmentation.horizontal_flip=true",
        "augmentation.rotation=0", "augmentation.crop=1", "training.batch_size=12")  # fmt: skip
    plain = module_of(tiny, tiny_recipe("augmentation.probability=0", "training.batch_size=12"))
    flips = set()
    for epoch in range(3):
        [changed] = epoch_of(module_of(tiny, recipe).train_dataloader(), epoch)
        [as_is] = epoch_of(plain.train_dataloader(), epoch)
        flips.add(tuple(not torch.equal(a, b) for a, b in zip(changed.image, as_is.image, strict=True)))
    assert all(0 < sum(drawn) < 12 for drawn in flips)
    assert len(flips) == 3


def test_the_recipe_s_seed_decides_the_order(tiny: TumorDataset) -> None:
    loaders = [module_of(tiny, tiny_recipe(f"training.seed={seed}")).train_dataloader() for seed in (0, 1)]
    assert not same(epoch_of(loaders[0], 0), epoch_of(loaders[1], 0))


def test_a_batch_holds_what_its_docstring_says(tiny: TumorDataset) -> None:
    batch = epoch_of(module_of(tiny, tiny_recipe()).train_dataloader(), 0)[0]
    assert batch.image.shape == batch.mask.shape == (4, 1, 64, 64)
    assert batch.image.dtype == torch.float32
    assert batch.mask.dtype == torch.bool
    assert batch.label.shape == (4,)
    assert batch.label.dtype == torch.int64
    assert bool(batch.mask.flatten(1).any(1).all())


def test_a_slice_is_natural_unless_its_lesion_was_changed(tiny: TumorDataset) -> None:
    still = ("augmentation.probability=0", "training.batch_size=12")
    plain = epoch_of(module_of(tiny, tiny_recipe(*still)).train_dataloader(), 3)[0]
    loader = module_of(tiny, tiny_recipe(*still, "augmentation.lesion_probability=0.5")).train_dataloader()
    drawn = epoch_of(loader, 3)[0]
    same = (drawn.image == plain.image).flatten(1).all(1)
    assert drawn.natural.dtype == torch.bool
    assert torch.equal(drawn.natural, same)
    assert 0 < int(drawn.natural.sum()) < 12
    assert torch.equal(drawn.mask, plain.mask)
    assert torch.equal(drawn.label, plain.label)
    assert bool(plain.natural.all())


def test_validation_slices_are_all_natural(tiny: TumorDataset) -> None:
    recipe = tiny_recipe("augmentation.lesion_probability=1")
    assert all(bool(batch.natural.all()) for batch in module_of(tiny, recipe).val_dataloader())


def test_labels_stay_with_their_slices(tiny: TumorDataset) -> None:
    """The disc's radius tells the type: 6, 9 or 12 pixels."""
    for batch in epoch_of(module_of(tiny, tiny_recipe("augmentation.probability=0")).train_dataloader(), 0):
        for mask, label in zip(batch.mask, batch.label.tolist(), strict=True):
            radius = (mask.sum().item() / torch.pi) ** 0.5
            assert abs(radius - (6 + 3 * label)) < 0.5


def test_validation_slices_come_unchanged_and_in_the_dataset_s_order(tiny: TumorDataset) -> None:
    module = module_of(tiny, tiny_recipe(*CHANGES))
    first, second = list(module.val_dataloader()), list(module.val_dataloader())
    assert same(first, second)
    positions = make_split(tiny, tiny_recipe().split).positions(tiny, Side.VALIDATION)
    masks = torch.cat([batch.mask for batch in first])[:, 0].numpy()
    for mask, position in zip(masks, positions, strict=True):
        assert (mask == tiny.mask(position)).all()  # 64 pixels both, so nothing is resized


@pytest.mark.parametrize("size", [64, 96])
def test_training_sees_what_the_analyzer_feeds_its_model(tiny: TumorDataset, size: int) -> None:
    recipe = tiny_recipe(f"size={size}")
    split = make_split(tiny, recipe.split)
    trained_on = torch.cat([batch.image for batch in module_of(tiny, recipe).val_dataloader()]).numpy()
    fed = []

    class Spy:
        size = recipe.size

        def __call__(self, batch: "object") -> Outputs:
            fed.append(batch)
            return Outputs()

    for file, expected in zip(split.validation, trained_on, strict=True):
        Analyzer(Ensemble([Spy()])).analyze(read_scan(tiny.root / file))
        assert (fed.pop() == expected[None]).all()


def test_an_epoch_has_as_many_steps_as_batches(tiny: TumorDataset) -> None:
    module = module_of(tiny, tiny_recipe("training.batch_size=5"))
    assert module.steps_per_epoch == len(epoch_of(module.train_dataloader(), 0)) == 3
    assert [module.slices(side) for side in Side] == [12, 6, 6]
