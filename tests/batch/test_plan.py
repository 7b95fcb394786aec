"""Each text of the plan is read alone, from a folder and from an object store."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tumorlens.batch.destination import Destination

fsspec = pytest.importorskip("fsspec")


@given(st.lists(st.text().filter(lambda text: "\n" not in text), max_size=9), st.integers(1, 4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("remote", [False, True])
def test_a_text_of_the_plan_is_read_as_it_was_written(
    tmp_path: Path, remote: bool, texts: list[str], size: int
) -> None:
    destination = Destination("memory://plan" if remote else str(tmp_path))
    places = list(destination.write_plan(texts, size))
    assert [destination.plan(place).removesuffix("\n") for place in places] == texts
    assert len({place.path for place in places}) == -(-len(texts) // size)
    destination.clean()
