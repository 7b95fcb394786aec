"""Keys are found whatever they were added with."""

import numpy as np

from tumorlens.batch.keys import KeySet


def test_a_set_has_what_was_added_and_nothing_else() -> None:
    bytes_ = np.random.default_rng(4)
    keys = [bytes_.bytes(14) + b"\0\0" for _ in range(3000)]  # zeros at the end count, too
    known = KeySet()
    for at in range(0, 2500, 5):
        known.add(keys[at : at + 5])
    known.add(keys[:100])
    assert known.has(keys) == [True] * 2500 + [False] * 500
    assert len(known) == 2500


def test_an_empty_set_has_nothing() -> None:
    known = KeySet()
    known.add([])
    assert known.has([b"0" * 16]) == [False]
    assert known.has([]) == []


def test_many_keys_take_little_more_than_their_bytes() -> None:
    known = KeySet()
    random = np.random.default_rng(5)
    for _ in range(64):
        block = random.bytes(16 * 1000)
        known.add([block[at : at + 16] for at in range(0, len(block), 16)])
    arrays = known._sorted
    assert sum(array.nbytes for array in arrays) == 16 * len(known) == 16 * 64_000
    assert len(arrays) < 10
