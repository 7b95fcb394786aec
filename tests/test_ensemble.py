"""Several models speak as one, and mirrored slices are mirrored back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.stand_ins import Namer, Outliner, Pointer, Saying
from tumorlens.center_crop import center_crop
from tumorlens.ensemble import Batch, Ensemble, Outputs
from tumorlens.errors import TumorlensError
from tumorlens.judgement import Judgement, LookAgain

SIZE = 32


def pictures(count: int = 3, size: int = SIZE, seed: int = 0) -> Batch:
    return np.random.default_rng(seed).random((count, 1, size, size), np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def saying(**outputs: np.ndarray) -> Saying:
    return Saying(lambda _: Outputs(**outputs))


def test_one_model_is_taken_at_its_word() -> None:
    batch = pictures()
    opinion = Ensemble([Pointer(SIZE, 8)])({SIZE: batch})
    told = Pointer(SIZE, 8)(batch)
    assert opinion.tumor_probability is None
    assert opinion.class_logits is told.class_logits or (opinion.class_logits == told.class_logits).all()
    assert (opinion.class_maps == told.class_maps).all()


def test_several_that_tell_the_same_are_averaged() -> None:
    generator = np.random.default_rng(1)
    masks = generator.normal(0, 3, (3, 2, SIZE, SIZE)).astype(np.float32)
    logits = generator.normal(0, 3, (3, 2, 3)).astype(np.float32)
    maps = generator.normal(0, 3, (3, 2, 3, 8, 8)).astype(np.float32)
    models = [
        saying(mask_logits=m, class_logits=c, class_maps=p)
        for m, c, p in zip(masks, logits, maps, strict=True)
    ]
    opinion = Ensemble(models)({SIZE: pictures(2)})
    assert opinion.tumor_probability == pytest.approx(sigmoid(masks).mean(0), abs=1e-6)
    assert opinion.class_logits == pytest.approx(logits.mean(0), abs=1e-6)
    assert opinion.class_maps == pytest.approx(maps.mean(0), abs=1e-6)
    for values in (opinion.tumor_probability, opinion.class_logits, opinion.class_maps):
        assert values is not None
        assert values.dtype == np.float32


def test_who_tells_nothing_of_a_thing_does_not_count_there() -> None:
    opinion = Ensemble([Outliner(SIZE), Namer(size=SIZE), Outliner(SIZE)])({SIZE: pictures()})
    assert opinion.class_logits == pytest.approx(np.float32([[1, 3, 2]] * 3))
    assert opinion.tumor_probability == pytest.approx(sigmoid(40 * (pictures()[:, 0] - 0.5)), abs=1e-6)
    assert opinion.class_maps is None


def test_models_of_different_sizes_may_do_different_things() -> None:
    ensemble = Ensemble([Outliner(64), Namer(size=SIZE)])
    assert ensemble.sizes == {64, SIZE}
    opinion = ensemble({64: pictures(2, 64), SIZE: pictures(2)})
    assert opinion.tumor_probability is not None
    assert opinion.tumor_probability.shape == (2, 64, 64)


def test_outlines_of_different_sizes_are_refused() -> None:
    ensemble = Ensemble([Outliner(64), Outliner(SIZE)])
    with pytest.raises(TumorlensError, match="expected models of one input size to outline"):
        ensemble({64: pictures(2, 64), SIZE: pictures(2)})


def test_no_model_is_refused() -> None:
    with pytest.raises(TumorlensError, match="at least one model"):
        Ensemble([])


@given(
    hnp.arrays(np.float32, (2, 5, 5), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)),
)
def test_any_finite_logit_gives_a_probability(logits: np.ndarray) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        probability = Ensemble([saying(mask_logits=logits)])({SIZE: pictures(2)}).tumor_probability
    assert probability is not None
    assert probability.dtype == np.float32
    assert ((probability >= 0) & (probability <= 1)).all()
    assert probability == pytest.approx(sigmoid(logits.clip(-60, 60)), abs=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("what", "shape", "job"),
    [
        ("mask_logits", (2, SIZE, SIZE), "outline"),
        ("class_logits", (2, 3), "name"),
        ("class_maps", (2, 3, 8, 8), "name"),
    ],
)
@pytest.mark.parametrize("company", [0, 2])
def test_what_is_no_number_is_refused(
    bad: float, what: str, shape: tuple[int, ...], job: str, company: int
) -> None:
    values = np.zeros(shape, np.float32)
    values.flat[-1] = bad
    models = [saying(**{what: values}), *[saying(**{what: np.zeros(shape, np.float32)})] * company]
    with pytest.raises(TumorlensError, match=f"finite numbers from the model to {job} the tumor"):
        Ensemble(models)({SIZE: pictures(2)})


def test_flipping_mirrors_back_what_was_seen_mirrored() -> None:
    batch = pictures()
    once = Ensemble([Outliner(SIZE), Pointer(SIZE, 8)])({SIZE: batch})
    twice = Ensemble([Outliner(SIZE), Pointer(SIZE, 8)], flip=True)({SIZE: batch})
    assert twice.tumor_probability == pytest.approx(once.tumor_probability, abs=1e-6)
    assert twice.class_maps == pytest.approx(once.class_maps, abs=1e-6)
    assert twice.class_logits == pytest.approx(once.class_logits, abs=1e-5)


def test_flipping_shows_each_model_both_images_whole_in_memory() -> None:
    model = Outliner(SIZE)
    Ensemble([model], flip=True)({SIZE: pictures()})
    assert [
        (fed == expected).all()
        for fed, expected in zip(model.fed, (pictures(), pictures()[..., ::-1]), strict=True)
    ]
    assert all(fed.flags.c_contiguous and fed.dtype == np.float32 for fed in model.fed)


def test_flipping_takes_the_middle_of_two_opinions() -> None:
    left = np.full((1, SIZE, SIZE), -9, np.float32)
    left[:, :, : SIZE // 2] = 9  # whatever is shown, the left half
    maps = np.zeros((1, 3, 8, 8), np.float32)
    maps[:, 1, :, 0] = 2
    told: list[np.ndarray] = [np.float32([[0, 2, 0]]), np.float32([[0, 0, 2]])]
    model = Saying(lambda batch: Outputs(left, told[int(batch[0, 0, 0, 0] < 0.5)], maps))
    batch = np.ones((1, 1, SIZE, SIZE), np.float32)
    batch[..., SIZE // 2 :] = 0
    opinion = Ensemble([model], flip=True)({SIZE: batch})
    assert opinion.tumor_probability == pytest.approx(np.full((1, SIZE, SIZE), 0.5), abs=1e-3)
    assert opinion.class_logits == pytest.approx(np.float32([[0, 1, 1]]))
    assert opinion.class_maps is not None
    assert (opinion.class_maps[0, 1, :, [0, -1]] == 1).all()
    assert (opinion.class_maps[0, 1, :, 1:-1] == 0).all()


def test_a_mirrored_center_crop_counts_for_the_outline_within_it_and_for_no_name() -> None:
    fed: list[Batch] = []

    def say(batch: Batch) -> Outputs:
        fed.append(batch)
        again = len(fed) > 1
        logits = np.float32([[0, 0, 9]] if again else [[5, 1, 0]])
        mask = np.full((len(batch), SIZE, SIZE), -20, np.float32)
        mask[:, :, : SIZE // 2] = -20 if not again else 20  # the left half of what it sees
        if not again:
            mask[:, 0] = 20  # what lies outside of the center
        maps = np.full((len(batch), 3, 8, 8), float(again), np.float32)
        return Outputs(mask, np.tile(logits, (len(batch), 1)), maps)

    batch = pictures(2)
    opinion = Ensemble([Saying(say)], flip=True, center_crop=0.75)({SIZE: batch})
    assert fed[1] == pytest.approx(center_crop(batch, 0.75)[..., ::-1], abs=1e-6)
    assert fed[1].flags.c_contiguous
    assert opinion.class_logits == pytest.approx(np.float32([[5, 1, 0]] * 2))
    assert opinion.class_maps is not None
    assert not opinion.class_maps.any()
    expected = np.zeros((SIZE, SIZE))
    expected[0] = 1  # of the only look that saw it
    expected[4:-4, SIZE // 2 : -4] = 0.5  # of one look of two; mirrored back, the right half
    assert opinion.tumor_probability is not None
    middle = np.abs(np.arange(SIZE) + 0.5 - SIZE / 2) < 2  # where the two halves meet, interpolation shows
    assert opinion.tumor_probability[..., ~middle] == pytest.approx(
        np.stack([expected] * 2)[..., ~middle], abs=1e-3
    )


def test_a_model_that_only_names_sees_the_whole_mirror_image() -> None:
    fed: list[Batch] = []

    def say(batch: Batch) -> Outputs:
        fed.append(batch)
        return Outputs(class_logits=batch[:, 0, 0, :3])

    batch = pictures(2)
    opinion = Ensemble([Saying(say)], flip=True, center_crop=0.5)({SIZE: batch})
    assert (fed[-1] == batch[..., ::-1]).all()
    assert opinion.class_logits == pytest.approx((batch[:, 0, 0, :3] + batch[:, 0, 0, :-4:-1]) / 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_in_a_center_crop_is_refused(bad: float) -> None:
    asked = []

    def say(batch: Batch) -> Outputs:
        asked.append(batch)
        mask = np.zeros((len(batch), SIZE, SIZE), np.float32)
        mask[:, 3, 3] = bad if len(asked) > 1 else 0
        return Outputs(mask, np.zeros((len(batch), 3), np.float32))

    with pytest.raises(TumorlensError, match="finite numbers from the model to outline the tumor"):
        Ensemble([Saying(say)], flip=True, center_crop=0.75)({SIZE: pictures(2)})


SURE_BELOW = LookAgain(below_dice=0.8, below_probability=0.8)


def leaving_unsure(slices: list[bool], fed: list[Batch], *, names: bool = True, value: float = 8.0) -> Saying:
    """Sure of an outline or a name but for some slices of the first batch; remembers what it is fed."""

    def say(batch: Batch) -> Outputs:
        fed.append(batch)
        unsure = np.array(slices)[:, None] if len(fed) == 1 else np.zeros((len(batch), 1), bool)
        logits = np.where(unsure, 0, np.float32([value, 0, 0])).astype(np.float32)
        mask = np.full((len(batch), SIZE, SIZE), -20, np.float32)
        mask[:, 8:16, 8:16] = 20
        if names:
            return Outputs(mask, logits)
        mask[unsure[:, 0], 8:16, 8:16] = -1
        return Outputs(mask, np.tile(np.float32([value, 0, 0]), (len(batch), 1)))

    return Saying(say)


@pytest.mark.parametrize("names", [True, False])
def test_only_what_the_first_model_leaves_unsure_is_looked_at_again(names: bool) -> None:
    first_fed: list[Batch] = []
    second_fed: list[Batch] = []
    first = leaving_unsure([False, True, False, True], first_fed, names=names)
    second = leaving_unsure([], second_fed, value=4.0)
    second_fed.append(pictures(0))
    batch = pictures(4)
    opinion = Ensemble([first, second], Judgement(second_look=SURE_BELOW))({SIZE: batch})
    assert len(first_fed) == 1
    assert (second_fed[1] == batch[[1, 3]]).all()
    assert opinion.class_logits is not None
    assert opinion.class_logits[:, 0].tolist() == ([8, 2, 8, 2] if names else [8, 6, 8, 6])


def test_what_is_unsure_is_looked_at_in_all_ways_and_averaged() -> None:
    always = Judgement(second_look=LookAgain(below_dice=1, below_probability=1))
    batch = pictures(2)
    for models in ([Outliner(SIZE)], [Outliner(SIZE), Outliner(SIZE)]):
        for flip in (False, True):
            opinion = Ensemble(models, always, flip=flip)({SIZE: batch})
            plain = Ensemble(models, flip=flip)({SIZE: batch})
            assert opinion.tumor_probability == pytest.approx(plain.tumor_probability, abs=1e-6)


def test_a_second_look_at_the_mirror_image_is_mirrored_back() -> None:
    always = Judgement(second_look=LookAgain(below_dice=1, below_probability=1))
    model = Outliner(SIZE)
    batch = pictures(2)
    opinion = Ensemble([model], always, flip=True)({SIZE: batch})
    assert len(model.fed) == 2
    assert (model.fed[1] == batch[..., ::-1]).all()
    assert opinion.tumor_probability == pytest.approx(sigmoid(40 * (batch[:, 0] - 0.5)), abs=1e-5)


def test_mirror_images_are_looked_at_where_all_models_together_are_unsure() -> None:
    """Of four slices the first model is unsure of two, and with the second model of one."""
    fed: list[Batch] = []
    second_fed: list[Batch] = []
    first = leaving_unsure([False, True, False, True], fed, value=4.0)

    def second(batch: Batch) -> Outputs:
        second_fed.append(batch)
        logits = np.tile(np.float32([[8, 0, 0]]), (len(batch), 1))
        if len(second_fed) == 1:
            logits[0] = 0
        mask = np.full((len(batch), SIZE, SIZE), -20, np.float32)
        mask[:, 8:16, 8:16] = 20
        return Outputs(mask, logits)

    limits = LookAgain(below_dice=0.8, below_probability=0.9)
    batch = pictures(4)
    judgement = Judgement(second_look=limits, third_look=limits)
    opinion = Ensemble([first, Saying(second)], judgement, flip=True)({SIZE: batch})
    assert (second_fed[0] == batch[[1, 3]]).all()
    assert [len(part) for part in fed] == [4, 1]
    assert (fed[1] == batch[[1]][..., ::-1]).all()
    assert (second_fed[1] == batch[[1]][..., ::-1]).all()
    assert opinion.class_logits is not None
    assert opinion.class_logits[:, 0].tolist() == [4, (0 + 0 + 4 + 8) / 4, 4, (0 + 8) / 2]


def test_a_single_model_s_mirror_image_is_its_second_look() -> None:
    never = LookAgain(below_dice=0, below_probability=0)
    always = LookAgain(below_dice=1, below_probability=1)
    model = Outliner(SIZE)
    Ensemble([model], Judgement(second_look=always, third_look=never), flip=True)({SIZE: pictures(2)})
    assert [len(batch) for batch in model.fed] == [2, 2]


def test_nothing_is_looked_at_again_where_all_is_sure() -> None:
    fed: list[Batch] = []
    second = Outliner(SIZE)
    Ensemble([leaving_unsure([False] * 3, fed), second], Judgement(second_look=SURE_BELOW))(
        {SIZE: pictures()}
    )
    assert not second.fed


def test_a_first_model_that_only_outlines_leaves_the_names_of_all_slices_to_others() -> None:
    never = Judgement(second_look=LookAgain(below_dice=0, below_probability=0))
    opinion = Ensemble([Outliner(SIZE), Namer(size=SIZE)], never)({SIZE: pictures(3)})
    assert opinion.class_logits == pytest.approx(np.float32([[1, 3, 2]] * 3))
