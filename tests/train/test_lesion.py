"""A lesion looks otherwise or is gone, its mask keeps to it, and by the seed and nothing else."""

from pathlib import Path

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tumorlens.dataset.record import read_record
from tumorlens.preprocess import prepare_image, prepare_mask
from tumorlens.train.augmentation import Augmentation
from tumorlens.train.lesion import LesionChange, without_lesion
from tumorlens.train.recipe import AugmentationRecipe

SIZE = 112
BLENDED = 8  # pixels around a lesion within which its removal may change the picture
BLURRED = 4  # pixels around a lesion within which a change of its contrast may
CONTRAST = LesionChange(AugmentationRecipe(lesion_probability=1))
REMOVAL = LesionChange(AugmentationRecipe(healthy_probability=1))
SEEDS = st.integers(0, 2**63 - 1)


def head(size: int, shift: int = 0, width: float = 0.72) -> Tensor:
    """A head (1, size, size) that spans [0, 1] and equals its mirror image moved by ``shift`` pixels."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    across = (columns - (size - 1 + shift) / 2).abs() / size  # from the midline, alike on both sides
    down = (rows - (size - 1) / 2) / size
    radius = torch.hypot(across / (width / 2), down / 0.45)
    texture = 0.3 + 0.4 * across + 0.1 * torch.sin(20 * down + 35 * across)
    return torch.where(radius < 0.9, texture, ((radius < 1) & (radius >= 0.9)).float())[None]


def disc(size: int, row: float, column: float, radius: float) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (torch.hypot(rows - row * size, columns - column * size) <= radius)[None]


def with_lesion(healthy: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, 0.85 + 0.05 * torch.sin(torch.arange(healthy.shape[-1]) / 2), healthy)


def within(mask: Tensor, pixels: int) -> Tensor:
    return functional.max_pool2d(mask.float(), 2 * pixels + 1, stride=1, padding=pixels) > 0


def noise(size: int, seed: int) -> Tensor:
    coarse = torch.rand(1, 1, size // 8, size // 8, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(coarse, size=(size, size), mode="bilinear")[0]


def real_slice(folder: Path, number: int, size: int = 224) -> tuple[Tensor, Tensor]:
    record = read_record(folder / f"{number}.mat")
    image, mask = prepare_image(record.image, size), prepare_mask(record.mask, size)
    return torch.tensor(image)[None], torch.tensor(mask)[None]


# Removal


@given(
    size=st.integers(64, 300),
    row=st.floats(0.3, 0.7),
    across=st.floats(0.19, 0.24),
    right=st.booleans(),
)
def test_a_removed_lesion_leaves_what_lies_opposite_whatever_the_size(
    size: int, row: float, across: float, right: bool
) -> None:
    healthy = head(size)
    mask = disc(size, row, 0.5 + across if right else 0.5 - across, 0.03 * size)
    assume(size * across > 0.03 * size + BLENDED)
    removed = without_lesion(with_lesion(healthy, mask), mask)
    assert removed is not None
    torch.testing.assert_close(removed, healthy, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cells", range(-5, 6))
@pytest.mark.parametrize("size", [112, 224])
@pytest.mark.parametrize("column", [0.25, 0.75])
def test_opposite_is_across_the_head_s_midline_wherever_that_lies(
    size: int, cells: int, column: float
) -> None:
    shift = cells * size // 56  # the positions at which the midline is looked for
    healthy = head(size, shift)
    mask = disc(size, 0.45, column + shift / 2 / size, 0.05 * size)
    removed = without_lesion(with_lesion(healthy, mask), mask)
    assert removed is not None
    torch.testing.assert_close(removed, healthy, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [100, 111, 150, 230, 279])
@pytest.mark.parametrize("offset", [-0.05, -0.02, 0.03, 0.06])
def test_opposite_is_found_to_half_a_cell_where_the_midline_lies_between_cells(
    size: int, offset: float
) -> None:
    healthy = head(size, round(offset * size))
    mask = disc(size, 0.45, 0.27 + offset / 2, 0.05 * size)
    removed = without_lesion(with_lesion(healthy, mask), mask)
    assert removed is not None
    steepest = (0.4 + 0.1 * 35) / 56 / 2  # of the texture, times half a 56th of the width
    rounding = 4 / size  # the shift is a whole number of pixels
    assert float((removed - healthy)[mask].abs().max()) < steepest + rounding


@given(
    row=st.floats(0, 1),
    column=st.floats(0, 1),
    radius=st.floats(0.5, 12),
    cells=st.integers(-7, 7),
)
def test_a_removed_lesion_leaves_no_trace_or_is_not_removed(
    row: float, column: float, radius: float, cells: int
) -> None:
    """Across the midline, beside it, at the edge, opposite nothing: never half a lesion or a wrong patch."""
    healthy = head(SIZE, 2 * cells)
    mask = disc(SIZE, row, column, radius)
    removed = without_lesion(with_lesion(healthy, mask), mask)
    if removed is not None:
        torch.testing.assert_close(removed, healthy, rtol=0, atol=1e-5)


@pytest.mark.parametrize("column", [0.42, 0.46, 0.5, 0.54, 0.58])
def test_a_lesion_on_the_midline_or_right_beside_it_stays(column: float) -> None:
    mask = disc(SIZE, 0.5, column, 6)
    image = with_lesion(head(SIZE), mask)
    assert without_lesion(image, mask) is None
    same, same_mask, changed = REMOVAL(image, mask, 0)
    assert not changed
    assert torch.equal(same, image)
    assert torch.equal(same_mask, mask)


def test_lesions_that_lie_opposite_each_other_stay() -> None:
    mask = disc(SIZE, 0.5, 0.25, 6) | disc(SIZE, 0.5, 0.75, 4)
    assert without_lesion(with_lesion(head(SIZE), mask), mask) is None


def test_a_lesion_whose_opposite_is_beyond_the_slice_s_edge_stays() -> None:
    """A head cut off on the right; what is near the left edge has no mirror image, its neighbours no less."""
    size = 448
    healthy = head(size, 48, 1.08)
    inner, outer = disc(size, 0.5, 0.3, 20), disc(size, 0.5, 0.022, 2)
    removed = without_lesion(with_lesion(healthy, inner), inner)
    assert removed is not None  # the midline is found
    torch.testing.assert_close(removed, healthy, rtol=0, atol=1e-5)
    assert without_lesion(with_lesion(healthy, outer), outer) is None


@given(seed=SEEDS, row=st.floats(0, 1), column=st.floats(0, 1), radius=st.floats(0.5, 20))
def test_a_slice_without_symmetry_keeps_its_lesion(
    seed: int, row: float, column: float, radius: float
) -> None:
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    profile = (columns / SIZE < 0.35 + 0.2 * torch.sin(rows / 15)).float()[None]  # a face that looks one way
    image, mask = 0.7 * profile + 0.3 * noise(SIZE, seed), disc(SIZE, row, column, radius)
    assert without_lesion(image, mask) is None


@given(row=st.floats(0, 1), column=st.floats(0, 1), radius=st.floats(0.5, 20), cells=st.integers(-7, 7))
def test_removal_changes_nothing_far_from_the_lesion(
    row: float, column: float, radius: float, cells: int
) -> None:
    """Nor does it where the other half looks different, which is all it could bring there."""
    mask = disc(SIZE, row, column, radius)
    image = (0.9 * with_lesion(head(SIZE, 2 * cells), mask) + 0.1 * noise(SIZE, 1)).clamp(0, 1)
    removed = without_lesion(image, mask)
    if removed is not None:
        far = ~within(mask, BLENDED)
        assert torch.equal(removed[far], image[far])


def test_a_slice_without_its_lesion_has_an_empty_mask_and_spans_the_range_that_it_had() -> None:
    healthy, mask = 0.9 * head(SIZE), disc(SIZE, 0.5, 0.25, 6)
    image = torch.where(mask, 0.9, healthy / 2)  # the lesion is the brightest, so that the rest is darker
    removed, empty, changed = REMOVAL(image, mask, 3)
    assert changed
    assert empty.shape == mask.shape
    assert empty.dtype == torch.bool
    assert not empty.any()
    torch.testing.assert_close(removed, healthy, rtol=0, atol=1e-5)


@pytest.mark.parametrize("number", [104, 326])
@pytest.mark.parametrize("size", [100, 224])
def test_real_lesions_on_one_side_are_removed(slices_folder: Path, number: int, size: int) -> None:
    image, mask = real_slice(slices_folder, number, size)
    removed, empty, changed = REMOVAL(image, mask, 0)
    assert changed
    assert not empty.any()
    assert removed[mask].median() < 0.85 * image[mask].median()  # both enhance
    far = ~within(mask, BLENDED)
    torch.testing.assert_close(removed[far], image[far], rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("number", "why"),
    [(n, "sagittal") for n in (501, 853, 1242)] + [(n, "on the midline") for n in (974, 1059, 1310)],
)
@pytest.mark.parametrize("size", [64, 100, 224, 279])
def test_real_lesions_stay_where_nothing_healthy_lies_opposite(
    slices_folder: Path, number: int, why: str, size: int
) -> None:
    assert without_lesion(*real_slice(slices_folder, number, size)) is None, why


# Another contrast


@pytest.mark.parametrize("seed", range(40))
def test_another_contrast_stays_on_the_lesion_and_keeps_its_mask(seed: int) -> None:
    mask = disc(SIZE, 0.4, 0.3, 9)
    image = with_lesion(head(SIZE), mask)
    changed, same, said = CONTRAST(image, mask, seed)
    assert said
    assert torch.equal(same, mask)
    moved = (changed - image).abs() > 1e-6
    assert moved[mask].any()
    assert not moved[~within(mask, BLURRED)].any()


@pytest.mark.parametrize("pixels", [(slice(50, 51), slice(40, 41)), (slice(30, 70), slice(40, 42))])
@pytest.mark.parametrize("seed", range(30))
def test_a_lesion_without_a_core_is_changed_whole(pixels: tuple[slice, slice], seed: int) -> None:
    mask = torch.zeros(1, SIZE, SIZE, dtype=torch.bool)
    mask[0, pixels[0], pixels[1]] = True
    image = with_lesion(head(SIZE), mask)
    changed, _, said = CONTRAST(image, mask, seed)
    assert said
    assert not torch.equal(changed[mask], image[mask])


def test_lesions_become_darker_and_brighter_than_their_surroundings_but_not_twice_as_bright() -> None:
    mask = disc(SIZE, 0.5, 0.5, 12)
    image = torch.where(mask, 0.8, 0.4)[None][0]
    image[0, 0, 0], image[0, 0, 1] = 0, 1  # so that the slice spans [0, 1] before and after
    changed = [CONTRAST(image, mask, seed)[0] for seed in range(300)]
    drawn = torch.tensor([float(picture[0, 56, 56]) for picture in changed])
    assert float(drawn.min()) < 0.1
    assert 0.7 < float(drawn.max()) < 0.8 + 1e-4
    assert 0.2 < float((drawn < 0.4).float().mean()) < 0.6
    assert float((drawn > 0.4).float().mean()) > 0.3


def test_the_core_or_the_rim_changes_alone_at_times() -> None:
    mask = disc(SIZE, 0.5, 0.5, 20)
    image = torch.where(mask, 0.8, 0.4)[None][0]
    image[0, 0, 0], image[0, 0, 1] = 0, 1
    core, rim = [], []
    for seed in range(200):
        moved = (CONTRAST(image, mask, seed)[0] - image)[0, 56].abs() > 0.02
        core.append(bool(moved[56]))
        rim.append(bool(moved[56 - 19]))
    both = list(zip(core, rim, strict=True))
    shares = {kind: both.count(kind) / 200 for kind in set(both)}
    assert 0.2 < shares[True, False] < 0.5  # drawn with 0.35
    assert 0.05 < shares[False, True] < 0.25  # drawn with 0.15
    assert shares[True, True] > 0.35  # drawn with 0.5


# What holds for both


@given(
    size=st.sampled_from([64, 65, 100, 111, 112, 150]),
    kind=st.sampled_from(["head", "noise", "flat", "steps"]),
    where=st.sampled_from(["disc", "pixel", "corner", "edge", "all", "all but one", "none"]),
    place=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
    removal=st.sampled_from([0.0, 0.5, 1.0]),
    seed=SEEDS,
)
def test_shape_type_and_range_are_kept_and_what_was_given_stays(
    size: int, kind: str, where: str, place: tuple[float, float], removal: float, seed: int
) -> None:
    image = {
        "head": head(size),
        "noise": noise(size, seed),
        "flat": torch.full((1, size, size), place[0]),
        "steps": (torch.arange(size) % 2).float().expand(1, size, size).clone(),
    }[kind]
    mask = torch.zeros(1, size, size, dtype=torch.bool)
    row, column = int(place[0] * size), int(place[1] * size)
    if where == "disc":
        mask = disc(size, *place, 7)
    elif where in ("pixel", "corner"):
        mask[0, row if where == "pixel" else -1, column if where == "pixel" else 0] = True
    elif where == "edge":
        mask[0, row : row + 9, -3:] = True
    elif where != "none":
        mask[:] = True
        mask[0, row, column] = where == "all"
    given_image, given_mask = image.clone(), mask.clone()
    recipe = AugmentationRecipe(lesion_probability=1 - removal, healthy_probability=removal)
    changed, changed_mask, said = LesionChange(recipe)(image, mask, seed)
    assert changed.shape == changed_mask.shape == (1, size, size)
    assert changed.dtype == torch.float32
    assert changed_mask.dtype == torch.bool
    assert changed.isfinite().all()
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
    assert torch.equal(image, given_image)
    assert torch.equal(mask, given_mask)
    if not said:
        assert torch.equal(changed, image)
        assert torch.equal(changed_mask, mask)
    else:
        assert float(changed.min()) == float(image.min())
        assert float(image.max()) - 1e-6 < float(changed.max()) <= float(image.max())
    assert torch.equal(changed_mask, mask) or (said and not changed_mask.any())
    if where == "none":
        assert not said


@pytest.mark.parametrize("change", [CONTRAST, REMOVAL])
def test_a_black_slice_stays_black_and_is_not_taken_for_a_symmetric_one(change: LesionChange) -> None:
    black, mask = torch.zeros(1, SIZE, SIZE), disc(SIZE, 0.5, 0.2, 4)
    assert without_lesion(black, mask) is None
    same, same_mask, _ = change(black, mask, 0)
    assert torch.equal(same, black)
    assert torch.equal(same_mask, mask)


@given(seed=SEEDS)
def test_probability_zero_changes_nothing(seed: int) -> None:
    mask = disc(SIZE, 0.5, 0.25, 6)
    image = with_lesion(head(SIZE), mask)
    same, same_mask, changed = LesionChange(AugmentationRecipe(probability=1))(image, mask, seed)
    assert not changed
    assert torch.equal(same, image)
    assert torch.equal(same_mask, mask)


@given(seed=SEEDS)
def test_probability_one_changes_always(seed: int) -> None:
    mask = disc(SIZE, 0.5, 0.25, 6)
    image = with_lesion(head(SIZE), mask)
    changed, same_mask, said = CONTRAST(image, mask, seed)
    assert said
    assert torch.equal(same_mask, mask)
    assert not torch.equal(changed, image)
    _, empty, said = REMOVAL(image, mask, seed)
    assert said
    assert not empty.any()


def test_both_changes_are_drawn_with_their_own_probabilities() -> None:
    mask = disc(SIZE, 0.5, 0.25, 6)
    image = with_lesion(head(SIZE), mask)
    change = LesionChange(AugmentationRecipe(probability=0, lesion_probability=0.5, healthy_probability=0.2))
    drawn = [change(image, mask, seed) for seed in range(400)]
    removed = sum(not mask.any() for _, mask, _ in drawn)
    changed = sum(said for _, _, said in drawn) - removed
    assert 0.13 < removed / 400 < 0.27
    assert 0.42 < changed / 400 < 0.58


def test_a_lesion_s_change_does_not_go_with_the_other_changes_of_its_seed() -> None:
    mask = disc(SIZE, 0.5, 0.25, 6)
    image = with_lesion(head(SIZE), mask)
    recipe = AugmentationRecipe(probability=0.5, horizontal_flip=True, lesion_probability=0.5)
    change, augmentation = LesionChange(recipe), Augmentation(recipe, SIZE)
    both = [
        (change(image, mask, seed)[2], not torch.equal(augmentation(image, mask, seed)[1], mask))
        for seed in range(400)
    ]
    for kind in [(False, False), (False, True), (True, False), (True, True)]:
        assert 0.17 < both.count(kind) / 400 < 0.33


@pytest.mark.parametrize("change", [CONTRAST, REMOVAL])
def test_the_draw_follows_from_the_seed_whatever_was_drawn_before(change: LesionChange) -> None:
    mask = disc(SIZE, 0.5, 0.25, 6)
    image = with_lesion(head(SIZE), mask)
    torch.manual_seed(1)
    first = change(image, mask, 7)
    change(image, mask, 8)
    torch.manual_seed(2)
    torch.rand(5)
    again = change(image, mask, 7)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert first[2] == again[2]


@pytest.mark.parametrize("change", [CONTRAST, REMOVAL])
def test_a_draw_leaves_the_global_random_state_alone(change: LesionChange) -> None:
    mask = disc(SIZE, 0.5, 0.25, 6)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    change(with_lesion(head(SIZE), mask), mask, 7)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_different_seeds_draw_differently() -> None:
    mask = disc(SIZE, 0.5, 0.25, 6)
    image = with_lesion(head(SIZE), mask)
    drawn = [CONTRAST(image, mask, seed)[0] for seed in range(10)]
    assert all(not torch.equal(drawn[a], drawn[b]) for a in range(10) for b in range(a))
