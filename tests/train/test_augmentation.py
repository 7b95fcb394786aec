"""A slice and its mask always change together, by the seed and nothing else."""

import pytest
import torch
from torch import Tensor

from tumorlens.train.augmentation import Augmentation
from tumorlens.train.recipe import AugmentationRecipe

SIZE = 96
GEOMETRY = {
    "rotation": {"rotation": 30},
    "horizontal flip": {"horizontal_flip": True},
    "vertical flip": {"vertical_flip": True},
    "crop": {"crop": 0.6},
    "all": {"rotation": 20, "horizontal_flip": True, "vertical_flip": True, "crop": 0.7},
}
SOMETIMES = {  # drawn half as often, so not from every seed
    "zoom out": {"zoom_out": 0.3},
    "elastic": {"elastic": 6},
}
INTENSITY = {
    "brightness": {"brightness": 0.4},
    "contrast": {"contrast": 0.4},
    "gamma": {"gamma": 1},
}
EVERYTHING = AugmentationRecipe(
    rotation=20, horizontal_flip=True, vertical_flip=True, crop=0.7, zoom_out=0.2, elastic=5,
    brightness=0.3, contrast=0.3, gamma=0.5,
)  # fmt: skip


def disc() -> tuple[Tensor, Tensor]:
    """A bright disc off the center of a dark slice, and its mask."""
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    mask = torch.hypot(rows - 38.0, columns - 56.0) < 15
    return (0.1 + 0.7 * mask).unsqueeze(0), mask.unsqueeze(0)


def overlap(a: Tensor, b: Tensor) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("name", GEOMETRY)
@pytest.mark.parametrize("seed", range(8))
def test_the_mask_stays_on_the_picture(name: str, seed: int) -> None:
    image, mask = disc()
    change = Augmentation(AugmentationRecipe(probability=1, **GEOMETRY[name]), SIZE)  # type: ignore[arg-type]
    moved, moved_mask = change(image, mask, seed)
    assert overlap(moved > 0.45, moved_mask) > 0.9
    assert not torch.equal(moved_mask, mask)


@pytest.mark.parametrize("name", SOMETIMES)
def test_the_mask_stays_on_a_smaller_and_on_a_bent_picture(name: str) -> None:
    image, mask = disc()
    change = Augmentation(AugmentationRecipe(probability=1, **SOMETIMES[name]), SIZE)  # type: ignore[arg-type]
    drawn = [change(image, mask, seed) for seed in range(40)]
    moved = [(picture, region) for picture, region in drawn if not torch.equal(region, mask)]
    assert 10 < len(moved) < 30
    assert min(overlap(picture > 0.45, region) for picture, region in moved) > 0.9


def test_zooming_out_makes_a_lesion_smaller_by_no_more_than_asked() -> None:
    image, mask = disc()
    change = Augmentation(AugmentationRecipe(probability=1, zoom_out=0.3), SIZE)
    shares = [float(change(image, mask, seed)[1].sum() / mask.sum()) for seed in range(60)]
    assert min(shares) > 0.7**2 * 0.95
    assert min(shares) < 0.65
    assert max(shares) <= 1.02


def test_elastic_bends_a_lesion_into_another_shape_nearby() -> None:
    image, mask = disc()
    change = Augmentation(AugmentationRecipe(probability=1, elastic=6), SIZE)
    bent = [region for _, region in (change(image, mask, seed) for seed in range(40))]
    assert min(overlap(region, mask) for region in bent) < 0.9
    assert min(overlap(region, mask) for region in bent) > 0.3


@pytest.mark.parametrize("name", INTENSITY)
def test_a_change_of_intensity_leaves_the_mask_alone(name: str) -> None:
    image, mask = disc()
    change = Augmentation(AugmentationRecipe(probability=1, **INTENSITY[name]), SIZE)  # type: ignore[arg-type]
    changed, same = change(image, mask, 1)
    assert torch.equal(same, mask)
    assert not torch.equal(changed, image)
    assert len(changed.unique()) == 2  # still one disc on one background


@pytest.mark.parametrize("seed", range(20))
def test_shape_type_and_range_are_kept(seed: int) -> None:
    image, mask = torch.rand(1, SIZE, SIZE), disc()[1]
    changed, changed_mask = Augmentation(EVERYTHING, SIZE)(image, mask, seed)
    assert changed.shape == changed_mask.shape == (1, SIZE, SIZE)
    assert changed.dtype == torch.float32
    assert changed_mask.dtype == torch.bool
    assert type(changed) is type(changed_mask) is Tensor
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_probability_zero_changes_nothing(seed: int) -> None:
    image, mask = disc()
    recipe = EVERYTHING.model_copy(update={"probability": 0})
    changed, changed_mask = Augmentation(recipe, SIZE)(image, mask, seed)
    assert torch.equal(changed, image)
    assert torch.equal(changed_mask, mask)


def test_a_recipe_without_changes_changes_nothing() -> None:
    image, mask = disc()
    changed, changed_mask = Augmentation(AugmentationRecipe(), SIZE)(image, mask, 0)
    assert torch.equal(changed, image)
    assert torch.equal(changed_mask, mask)


def test_the_given_tensors_stay_as_they_were() -> None:
    image, mask = disc()
    Augmentation(EVERYTHING, SIZE)(image, mask, 3)
    assert torch.equal(image, disc()[0])
    assert torch.equal(mask, disc()[1])


def test_the_draw_follows_from_the_seed_whatever_was_drawn_before() -> None:
    image, mask = disc()
    change = Augmentation(EVERYTHING, SIZE)
    torch.manual_seed(1)
    first = change(image, mask, 7)
    torch.manual_seed(2)
    torch.rand(5)
    again = change(image, mask, 7)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


def test_a_draw_leaves_the_global_random_state_alone() -> None:
    image, mask = disc()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    Augmentation(EVERYTHING, SIZE)(image, mask, 7)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_different_seeds_draw_differently() -> None:
    image, mask = disc()
    change = Augmentation(EVERYTHING.model_copy(update={"probability": 1}), SIZE)
    drawn = [change(image, mask, seed)[0] for seed in range(10)]
    assert all(not torch.equal(drawn[a], drawn[b]) for a in range(10) for b in range(a))


def test_each_change_is_drawn_with_the_recipe_s_probability() -> None:
    image, mask = disc()
    change = Augmentation(AugmentationRecipe(probability=0.25, horizontal_flip=True), SIZE)
    flipped = sum(not torch.equal(change(image, mask, seed)[1], mask) for seed in range(400))
    assert 0.17 < flipped / 400 < 0.33
