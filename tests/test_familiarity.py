"""What is no brain slice looks strange; what a slice may go through doesn't make it so."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from tumorlens.dataset import read_record
from tumorlens.errors import TumorlensError
from tumorlens.familiarity import Familiarity
from tumorlens.preprocess import prepare_image

SIZE = 224
Pictures = NDArray[np.float32]
Change = Callable[[Pictures], Pictures]
Y, X = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]


@pytest.fixture(scope="module")
def slices(slice_paths: list[Path]) -> Pictures:
    return np.stack([prepare_image(read_record(path).image, SIZE) for path in slice_paths])


@pytest.fixture(scope="module")
def familiarity(slices: Pictures) -> Familiarity:
    return Familiarity.fit(slices)


def prepared(pictures: list[NDArray[np.floating]]) -> Pictures:
    return np.stack([prepare_image(picture, SIZE) for picture in pictures])


def noise(_: Pictures) -> Pictures:
    random = np.random.default_rng(0)
    grains = [Image.fromarray(random.random((n, n)).astype(np.float32)) for n in (4, 8, 16, 64, SIZE)]
    return prepared([np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for image in grains])


def patterns(_: Pictures) -> Pictures:
    waves = np.sin(9 * X) * np.sin(9 * Y)
    return prepared([0 * X, X, Y, np.exp(-4 * (X**2 + Y**2)), np.sin(40 * X), waves, np.sign(waves)])


def phantoms(_: Pictures) -> Pictures:
    """Heads drawn with ellipses: the right outline, and nothing in it that a brain has."""
    skull = (X / 0.62) ** 2 + (Y / 0.8) ** 2 < 1
    brain = (X / 0.57) ** 2 + (Y / 0.75) ** 2 < 1
    holes = ((abs(X) - 0.2) / 0.12) ** 2 + (Y / 0.3) ** 2 < 1
    return prepared([1.0 * skull, skull - 0.6 * brain, skull - 0.6 * brain - 0.3 * holes])


def quarters(slices: Pictures) -> Pictures:
    return prepared(
        [
            image[row : row + 90, column : column + 90]
            for image in slices
            for row in (30, 110)
            for column in (30, 110)
        ]
    )


def with_fluid_brightest(slices: Pictures) -> Pictures:
    return np.interp(slices, [0, 0.05, 0.1, 0.4, 1], [0, 0, 1, 0.4, 0.6]).astype(np.float32)


def with_one_bright_spot(slices: Pictures) -> Pictures:
    spotted = slices * np.float32(0.6)
    spotted[:, 100, 100] = 1
    return spotted


STRANGE: dict[str, Change] = {
    "noise": noise,
    "patterns": patterns,
    "phantoms": phantoms,
    "inverted": lambda slices: 1 - slices,
    "lying on one side": lambda slices: np.rot90(slices, 1, (1, 2)),
    "lying on the other": lambda slices: np.rot90(slices, 3, (1, 2)),
    "upside down": lambda slices: slices[:, ::-1],
    "a quarter": quarters,
    "quarters in another order": lambda slices: np.roll(slices, (112, 112), (1, 2)),
    "two in one picture": lambda slices: prepared([np.hstack([image, image]) for image in slices]),
    "fluid brightest": with_fluid_brightest,
}
HARMLESS: dict[str, Change] = {
    "as it is": lambda slices: slices,
    "mirrored": lambda slices: slices[:, :, ::-1],
    "shifted": lambda slices: np.roll(slices, (4, -4), (1, 2)),
    "brighter": lambda slices: slices ** np.float32(0.9),
    "darker": lambda slices: slices ** np.float32(1.15),
    "at 8 bits": lambda slices: prepared([(image * 255).round() for image in slices]),
    "with one bright spot": with_one_bright_spot,
}


@pytest.mark.parametrize("harmless", HARMLESS)
def test_a_slice_stays_familiar(familiarity: Familiarity, slices: Pictures, harmless: str) -> None:
    assert familiarity(HARMLESS[harmless](slices)).max() < 0.5


@pytest.mark.parametrize("strange", STRANGE)
def test_what_is_no_upright_slice_is_strange(
    familiarity: Familiarity, slices: Pictures, strange: str
) -> None:
    assert familiarity(STRANGE[strange](slices)).min() > 0.6


@pytest.mark.parametrize("left_out", [0, 5, 11])
def test_a_slice_of_a_patient_never_seen_is_more_familiar_than_what_is_no_head(
    slices: Pictures, left_out: int
) -> None:
    fitted = Familiarity.fit(np.delete(slices, left_out, axis=0))
    others = np.concatenate([noise(slices), patterns(slices), phantoms(slices)])
    assert fitted(slices[[left_out]])[0] < fitted(others).min()


def test_a_mirror_image_scores_the_same(familiarity: Familiarity, slices: Pictures) -> None:
    pictures = np.concatenate([slices, quarters(slices), slices[:, ::-1]])
    assert familiarity(pictures[:, :, ::-1]) == pytest.approx(familiarity(pictures), abs=1e-3)


def test_a_picture_scores_the_same_alone_and_in_a_batch(familiarity: Familiarity, slices: Pictures) -> None:
    pictures = np.concatenate([slices, noise(slices)])
    alone = [float(familiarity(picture[None])[0]) for picture in pictures]
    assert alone == pytest.approx(familiarity(pictures), abs=1e-5)


def test_no_pictures_have_no_scores(familiarity: Familiarity) -> None:
    assert familiarity(np.zeros((0, SIZE, SIZE), np.float32)).shape == (0,)


def test_fitting_twice_gives_the_same(familiarity: Familiarity, slices: Pictures) -> None:
    assert Familiarity.fit(slices)(slices) == pytest.approx(familiarity(slices), abs=1e-6)


@settings(max_examples=40)
@given(
    hnp.arrays(
        np.float32,
        st.integers(1, 40).map(lambda side: (1, side, side)),
        elements=st.floats(0, 1, width=32),
    )
)
def test_any_square_picture_has_a_finite_score(familiarity: Familiarity, picture: Pictures) -> None:
    score = familiarity(picture)
    assert score.shape == (1,)
    assert np.isfinite(score).all()
    assert score[0] >= 0


@pytest.mark.parametrize("size", [64, 256])
def test_it_works_at_another_size_than_it_was_designed_for(slices: Pictures, size: int) -> None:
    resized = np.stack([prepare_image(image, size) for image in slices])
    fitted = Familiarity.fit(resized)
    assert fitted(resized).max() < fitted(resized[:, ::-1]).min()


def test_stored_arrays_bring_back_the_same_scores(familiarity: Familiarity, slices: Pictures) -> None:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **familiarity.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        restored = Familiarity.from_arrays(dict(arrays))
    pictures = np.concatenate([slices, noise(slices)])
    assert (restored(pictures) == familiarity(pictures)).all()


def test_however_many_slices_are_learned_the_arrays_stay_below_one_and_a_half_megabytes() -> None:
    many = np.random.default_rng(0).random((300, 16, 16)).astype(np.float32)
    assert sum(array.nbytes for array in Familiarity.fit(many).arrays().values()) < 1.5e6


DAMAGES: dict[str, Callable[[dict[str, NDArray[Any]]], object]] = {
    "missing": lambda arrays: arrays.pop("centers"),
    "cut short": lambda arrays: arrays.update(weights=arrays["weights"][:-1]),
    "cut across": lambda arrays: arrays.update(centers=arrays["centers"][:, :-1]),
    "of other features": lambda arrays: arrays.update(axes=arrays["axes"][1:]),
    "without dimensions": lambda arrays: arrays.update(weights=np.array(1.0)),
    "empty": lambda arrays: arrays.update(weights=np.zeros(0), centers=arrays["centers"][:0]),
    "NaN": lambda arrays: arrays.update(mean=arrays["mean"] * np.float32(np.nan)),
    "infinite": lambda arrays: arrays.update(axes=arrays["axes"] * np.float32(np.inf)),
    "text": lambda arrays: arrays.update(weights=np.full(len(arrays["weights"]), "1")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_arrays_are_refused(familiarity: Familiarity, damage: str) -> None:
    arrays: dict[str, NDArray[Any]] = {**familiarity.arrays()}
    DAMAGES[damage](arrays)
    with pytest.raises(TumorlensError, match="get the file again"):
        Familiarity.from_arrays(arrays)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pictures_with_nan_or_infinity_are_refused(
    familiarity: Familiarity, slices: Pictures, bad: float
) -> None:
    broken = slices.copy()
    broken[1, 5, 7] = bad
    with pytest.raises(ValueError, match="expected finite pixel values"):
        familiarity(broken)
    with pytest.raises(ValueError, match="expected finite pixel values"):
        Familiarity.fit(broken)


@pytest.mark.parametrize("shape", [(SIZE, SIZE), (1, 3, SIZE, SIZE), (1, SIZE, 100), (1, 0, 0)])
def test_what_is_no_stack_of_squares_is_refused(familiarity: Familiarity, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected pictures"):
        familiarity(np.zeros(shape, np.float32))


def test_one_slice_is_too_few_to_learn_from(slices: Pictures) -> None:
    with pytest.raises(ValueError, match="at least 2 slices"):
        Familiarity.fit(slices[:1])
