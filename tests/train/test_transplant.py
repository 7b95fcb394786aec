"""A lesion of another patient comes whole to where it lay, with its mask, and from training slices alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tests.train.test_lesion import disc, head, noise
from tests.train.tiny import tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.dataset.prepared import PreparedSlices
from tumorlens.train import datamodule, transplant
from tumorlens.train.changes import Changes
from tumorlens.train.datamodule import SliceDataModule
from tumorlens.train.lesion import without_lesion
from tumorlens.train.recipe import AugmentationRecipe
from tumorlens.train.recipe_file import load_recipe
from tumorlens.train.split import Side, make_split
from tumorlens.train.transplant import Donor, Donors, Transplant

SIZE = 112
MOVED, WIDENED, BLURRED = 8, 5, 4  # pixels at most
SEEDS = st.integers(0, 2**63 - 1)


def prepared(*slices: tuple[Tensor, Tensor]) -> PreparedSlices:
    images, masks = (torch.cat(each).numpy() for each in zip(*slices, strict=True))
    return PreparedSlices(images, masks)


def lesion_in(healthy: Tensor, mask: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A lesion with a texture that is found nowhere else."""
    return torch.where(mask, 0.25 + 0.35 * noise(healthy.shape[-1], seed), healthy), mask


def one_donor(slices: PreparedSlices) -> Donors:
    """Slice 0 may get slice 1's lesion."""
    donors = Donors(slices.images, [1, 1], ["a", "b"], [0, 1])
    assert [donor.position for donor in donors.of(0)][:1] == [1]
    return donors


def within(mask: Tensor, pixels: int) -> Tensor:
    return functional.max_pool2d(mask.float(), 2 * pixels + 1, stride=1, padding=pixels) > 0


def moved(values: Tensor, down: int, right: int) -> Tensor:
    return torch.roll(values, (down, right), (-2, -1))


@settings(max_examples=15)
@given(seed=SEEDS, row=st.floats(0.3, 0.7), column=st.floats(0.3, 0.7), radius=st.integers(3, 9))
def test_the_mask_is_the_lesion_that_came_and_what_is_left_of_the_one_that_was(
    seed: int, row: float, column: float, radius: int
) -> None:
    host = lesion_in(head(SIZE), disc(SIZE, 0.45, 0.35, 8))
    given_ = lesion_in(head(SIZE), disc(SIZE, row, column, radius), 1)
    slices = prepared(host, given_)
    image, mask, changed = Transplant(slices, one_donor(slices), 1)(*host, 0, seed)
    assert image.shape == host[0].shape
    assert mask.dtype == torch.bool
    assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert changed
    lesions = {
        (mirrored, down, right): moved(given_[1].flip(-1) if mirrored else given_[1], down, right)
        for mirrored in (False, True)
        for down in range(-MOVED, MOVED + 1)
        for right in range(-MOVED, MOVED + 1)
    }
    own = host[1] & mask  # none of it where it was removed
    fitting = [
        key
        for key, lesion in lesions.items()
        if torch.equal(mask, lesion | (own & ~lesion)) and not (own & ~host[1]).any()
    ]
    assert fitting
    near = within(mask | host[1], WIDENED + BLURRED + 5)  # or where the slice's own was removed
    torch.testing.assert_close(image[~near], host[0][~near], rtol=0, atol=1e-5)


@settings(max_examples=20)
@given(seed=SEEDS, mirrored=st.booleans())
def test_the_picture_lies_under_its_mask(seed: int, mirrored: bool) -> None:
    """The texture inside goes with the donor's, moved as the mask is moved, and with no other move."""
    host = lesion_in(head(SIZE), disc(SIZE, 0.7, 0.5, 4))  # across the midline, so that it can't be removed
    given_ = lesion_in(head(SIZE), disc(SIZE, 0.4, 0.4, 8), 1)
    slices = prepared(host, given_)
    donors = one_donor(slices)
    donors._donors[0] = [Donor(1, mirrored)]
    image, mask, changed = Transplant(slices, donors, 1)(*host, 0, seed)
    assert changed
    if mirrored:
        given_ = given_[0].flip(-1), given_[1].flip(-1)
    came = mask & ~host[1]
    rows, columns = (torch.where(came[0])[axis].float().mean() for axis in (0, 1))
    theirs = [torch.where(given_[1][0])[axis].float().mean() for axis in (0, 1)]
    move = round(float(rows - theirs[0])), round(float(columns - theirs[1]))
    assert torch.equal(came, moved(given_[1], *move))
    inner = ~within(~came, 3)
    there = moved(given_[0], *move)[inner]
    assert float(torch.corrcoef(torch.stack([image[inner], there]))[0, 1]) > 0.99


def test_what_was_removed_first_is_in_neither_picture_nor_mask() -> None:
    host = lesion_in(head(SIZE), disc(SIZE, 0.5, 0.25, 5))
    given_ = lesion_in(head(SIZE), disc(SIZE, 0.45, 0.68, 5), 1)
    slices = prepared(host, given_)
    donors = one_donor(slices)
    donors._donors[0] = [Donor(1, mirrored=False)]
    healthy = without_lesion(*host)
    assert healthy is not None
    removed = 0
    for seed in range(100):
        image, mask, _ = Transplant(slices, donors, 1)(*host, 0, seed)
        own = mask & host[1]
        assert not own.any() or torch.equal(own, host[1])  # they are too far apart to touch
        removed += not own.any()
        expected = host[0] if own.any() else healthy
        torch.testing.assert_close(image[host[1]], expected[host[1]], rtol=0, atol=1e-5)
    assert 50 < removed < 90


def test_a_lesion_that_would_lie_in_air_stays_away() -> None:
    host = lesion_in(head(SIZE, width=0.4), disc(SIZE, 0.5, 0.5, 4))
    given_ = lesion_in(head(SIZE), disc(SIZE, 0.5, 0.8, 4), 1)
    slices = prepared(host, given_)
    donors = Donors(slices.images, [1, 1], ["a", "b"], [0, 1])
    donors._donors[0] = [Donor(1, mirrored=False)]
    for seed in range(30):
        image, mask, changed = Transplant(slices, donors, 1)(*host, 0, seed)
        assert not changed
        assert image is host[0]
        assert mask is host[1]


@given(seed=SEEDS, share=st.floats(0.1, 0.9))
@settings(max_examples=10)
def test_the_seed_decides_and_so_many_slices_are_changed(seed: int, share: float) -> None:
    host, given_ = (lesion_in(head(SIZE), disc(SIZE, 0.5, 0.4, 6), number) for number in (0, 1))
    slices = prepared(host, given_)
    change = Transplant(slices, one_donor(slices), share)
    first, again = change(*host, 0, seed), change(*host, 0, seed)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    changed = sum(change(*host, 0, (seed + draw) % 2**63)[2] for draw in range(60))
    assert abs(changed / 60 - share) < 0.3


def test_a_probability_of_0_changes_nothing() -> None:
    host, given_ = (lesion_in(head(SIZE), disc(SIZE, 0.5, 0.4, 6), number) for number in (0, 1))
    slices = prepared(host, given_)
    change = Transplant(slices, one_donor(slices), 0)
    assert not any(change(*host, 0, seed)[2] for seed in range(50))


@given(data=st.data(), count=st.integers(2, 12))
def test_donors_are_other_patients_of_the_same_type_and_of_the_given_slices(
    data: st.DataObject, count: int
) -> None:
    labels = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    patients = data.draw(st.lists(st.sampled_from("abcd"), min_size=count, max_size=count))
    positions = sorted(data.draw(st.sets(st.integers(0, count - 1))))
    images = np.repeat(head(64).numpy(), count, axis=0)  # all alike
    donors = Donors(images, labels, patients, positions)
    for position in range(count):
        expected = {
            other
            for other in positions
            if position in positions
            and labels[other] == labels[position]
            and patients[other] != patients[position]
        }
        assert {donor.position for donor in donors.of(position)} == expected


def test_the_most_alike_comes_first_and_its_mirror_image_is_known_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transplant, "_ROWS", 2)  # several parts, as in a large dataset
    pictures = [
        noise(64, 0),
        noise(64, 0).flip(-1),
        noise(64, 0) + 0.5 * noise(64, 1),
        noise(64, 2),
        noise(64, 0),
    ]
    images = torch.cat(pictures).numpy()
    donors = Donors(images, [0] * 5, ["a", "b", "c", "d", "a"], range(5))
    assert donors.of(0)[0] == Donor(1, mirrored=True)
    assert donors.of(1)[0] in (Donor(0, mirrored=True), Donor(4, mirrored=True))
    assert Donor(2, mirrored=False) in donors.of(4)
    assert Donor(3, mirrored=False) not in donors.of(0)


def test_a_constant_slice_has_no_donors() -> None:
    images = np.zeros((3, 64, 64), np.float32)
    assert all(not Donors(images, [0] * 3, list("abc"), range(3)).of(position) for position in range(3))


def test_a_lesion_that_came_is_not_changed_and_tells_its_type() -> None:
    host, given_ = (lesion_in(head(SIZE), disc(SIZE, 0.5, 0.4, 6), number) for number in (0, 1))
    slices = prepared(host, given_)
    donors = one_donor(slices)
    recipe = AugmentationRecipe(probability=0, lesion_probability=1, transplant_probability=0.5)
    change, alone = Changes(recipe, SIZE, slices, donors), Transplant(slices, donors, 0.5)
    came = 0
    for seed in range(20):
        image, mask, natural = change(*host, 0, seed)
        expected, expected_mask, transplanted = alone(*host, 0, seed)
        assert natural is transplanted
        if transplanted:
            came += 1
            torch.testing.assert_close(image, expected)
            assert torch.equal(mask, expected_mask)
    assert 0 < came < 20


def test_training_takes_lesions_from_its_own_slices_alone(
    tiny: TumorDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transplant, "_ALIKE", -1)  # noise is like nothing
    given_: list[Donors] = []

    class Noted(Donors):
        def __init__(self, *told: object) -> None:
            super().__init__(*told)  # type: ignore[arg-type]
            given_.append(self)

    monkeypatch.setattr(datamodule, "Donors", Noted)
    recipe = tiny_recipe("augmentation.probability=0", "augmentation.transplant_probability=1")
    split = make_split(tiny, recipe.split)
    module = SliceDataModule(tiny, split, recipe)
    loader = module.train_dataloader()
    loader.sampler.set_epoch(0)  # type: ignore[attr-defined]
    batches = list(loader)
    plain = list(module.val_dataloader())
    assert len(given_) == 1
    training = set(split.positions(tiny, Side.TRAIN))
    donors = {donor.position for position in training for donor in given_[0].of(position)}
    assert donors
    assert donors <= training
    assert all(not given_[0].of(position) for position in set(range(len(tiny))) - training)
    masks = torch.cat([batch.mask for batch in batches]).flatten(1)
    own = {tiny.mask(position).tobytes() for position in training}
    assert any(mask.numpy().tobytes() not in own for mask in masks)
    assert all(bool(batch.natural.all()) for batch in batches)
    held = [tiny.mask(position) for position in split.positions(tiny, Side.VALIDATION)]
    assert all(
        (a == b).all() for a, b in zip(torch.cat([b.mask for b in plain])[:, 0].numpy(), held, strict=True)
    )


def test_the_shipped_recipe_s_last_phase_has_transplants_and_all_that_the_others_have() -> None:
    recipe = load_recipe("lite-joint")
    *others, last = recipe.augmentations
    assert others == [recipe.augmentation] * 2
    assert last == recipe.augmentation.model_copy(update={"transplant_probability": 0.4})
