"""A tumor type is a name to a reader and a number to a program."""

import pytest

from tumorlens.tumor_type import TumorType


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TumorType.MENINGIOMA, "meningioma"),
        (TumorType.GLIOMA, "glioma"),
        (TumorType.PITUITARY, "pituitary tumor"),
    ],
)
def test_it_prints_as_its_name(kind: TumorType, name: str) -> None:
    assert (str(kind), f"{kind}", f"{kind:>16}") == (name, name, name.rjust(16))


@pytest.mark.parametrize("kind", list(TumorType))
def test_it_counts_as_its_label(kind: TumorType) -> None:
    assert kind == TumorType(int(kind)) == TumorType.from_class_index(kind.class_index)
    assert 1 <= kind <= 3
