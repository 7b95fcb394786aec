"""Maps are kept coarse and come as fine as the slices, each where it belongs."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tumorlens.finding import PackedMap, SliceMaps
from tumorlens.preprocess import restore_map

SHAPE = (30, 44)


def coarse(count: int = 3, size: int = 16, seed: int = 0) -> list[NDArray[np.float32]]:
    return list(np.random.default_rng(seed).random((count, size, size), np.float32))


def test_a_slice_is_what_restoring_its_map_gives() -> None:
    given_maps = coarse()
    maps = SliceMaps(given_maps, SHAPE)
    assert maps.shape == (3, *SHAPE)
    assert len(maps) == 3
    for index in (2, 0, 1, 1, -1, np.int64(2)):
        expected = restore_map(given_maps[int(index)], SHAPE)
        assert (maps[int(index)] == expected).all()


def test_as_an_array_it_has_all_slices_in_order() -> None:
    maps = SliceMaps(coarse(), SHAPE)
    array = np.asarray(maps)
    assert array.shape == maps.shape
    assert array.dtype == np.float32
    assert all((array[index] == maps[index]).all() for index in range(3))
    assert [each.shape for each in maps] == [SHAPE] * 3
    assert np.asarray(maps, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="copy"):
        np.array(maps, copy=False)


@pytest.mark.parametrize("index", [3, -4])
def test_a_slice_that_there_is_not_is_refused(index: int) -> None:
    with pytest.raises(IndexError):
        SliceMaps(coarse(), SHAPE)[index]


@given(factor=st.floats(0.001, 1000), seed=st.integers(0, 50))
def test_divided_by_the_strongest_of_all_slices_one_slice_reaches_1_and_none_leaves_the_range(
    factor: float, seed: int
) -> None:
    given_maps = [np.float32(factor) * (each - np.float32(0.4)) for each in coarse(seed=seed)]
    maps = np.asarray(SliceMaps(given_maps, SHAPE, peaks_between=True, to_strongest=True))
    assert maps.min() == 0
    assert maps.max() == 1
    peaks = [restore_map(each, SHAPE, peaks_between=True).max() for each in given_maps]
    assert int(maps.max((1, 2)).argmax()) == int(np.argmax(peaks))
    assert maps.max((1, 2)) == pytest.approx(np.array(peaks) / max(peaks), rel=1e-5)


def test_where_nothing_speaks_for_the_name_the_map_is_empty() -> None:
    given_maps = [-each for each in coarse()]
    assert not np.asarray(SliceMaps(given_maps, SHAPE, to_strongest=True)).any()


def test_a_peak_may_come_to_lie_between_coarse_positions_where_asked_for() -> None:
    between = np.zeros((4, 4), np.float32)
    between[1:3, 1:3] = 1
    for peaks_between in (False, True):
        fine = SliceMaps([between], (64, 64), peaks_between=peaks_between)[0]
        assert (fine[32, 32] > fine[24, 24]) == peaks_between


def test_what_a_caller_does_to_a_slice_changes_no_later_one() -> None:
    for maps in (SliceMaps(coarse(), SHAPE), SliceMaps(coarse(), SHAPE, to_strongest=True)):
        before = maps[1].copy()
        values = maps[1]
        if values.flags.writeable:
            values[:] = 0
        assert (maps[1] == before).all()


def test_several_threads_get_the_slices_that_they_ask_for() -> None:
    maps = SliceMaps(coarse(6, 8), SHAPE)
    expected = [restore_map(each, SHAPE) for each in coarse(6, 8)]
    wrong: list[int] = []

    def ask(first: int) -> None:
        for turn in range(60):
            index = (first + turn) % 6
            if not (maps[index] == expected[index]).all():
                wrong.append(index)

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@given(
    arrays(np.float32, (3, 6, 6), elements=st.integers(-4096, 4096).map(lambda steps: steps / 1024)),
    st.sampled_from([(6, 6), (24, 24), (31, 40), (4, 5)]),
)
def test_the_strongest_pixel_of_all_slices_is_1_however_far_it_lies_above_its_positions(
    values: NDArray[np.float32], shape: tuple[int, int]
) -> None:
    maps = SliceMaps(list(values), shape, peaks_between=True, to_strongest=True)
    highest = max(restore_map(each, shape, peaks_between=True).max() for each in values)
    assert np.asarray(maps).max() == (1 if highest > 0 else 0)


@given(arrays(np.float32, (7, 7), elements=st.floats(0, 1, width=32)), st.integers(0, 7), st.integers(0, 7))
def test_a_packed_map_is_right_to_a_255th_wherever_its_values_lie(
    values: np.ndarray, rows: int, columns: int
) -> None:
    values = values.copy()
    values[:rows], values[:, :columns] = 0, 0
    np.testing.assert_allclose(np.asarray(PackedMap(values)), values, atol=0.5 / 255 + 1e-6)


def test_packed_maps_are_restored_as_others_are() -> None:
    values = np.zeros((9, 9), np.float32)
    values[3:6, 2:8] = 1
    np.testing.assert_array_equal(
        SliceMaps([PackedMap(values)], (30, 40))[0], SliceMaps([values], (30, 40))[0]
    )
