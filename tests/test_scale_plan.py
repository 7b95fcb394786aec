"""The plan for large archives: its formulas."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks come with the repository only", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
try:
    import scale_plan
    from scale.formulas import Plan, Rates, Site
    from scale.rates import DESIGNS, ONE_RUN
finally:
    sys.path.remove(str(BENCHMARKS))

quick = settings(max_examples=40, deadline=None)
RATES = Rates(
    core_seconds=0.03,
    slice_bytes=5e5,
    unit_slices=24,
    unit_text_bytes=2_000,
    row_bytes=150,
    part_bytes=12_000,
    start_seconds=3.0,
    list_seconds=4e-5,
    task_seconds=0.005,
    chunk_seconds=0.001,
    commit_seconds=0.004,
)
PRICES = ("core_price", "keep_price", "transfer_price", "get_price", "put_price")
slices = st.floats(1e3, 1e10)
cores = st.integers(1, 20_000)


@st.composite
def rates(draw: st.DrawFn) -> Rates:
    return replace(
        RATES,
        core_seconds=draw(st.floats(1e-3, 1.0)),
        slice_bytes=draw(st.floats(1e4, 1e7)),
        unit_slices=draw(st.integers(1, 300)),
        task_seconds=draw(st.floats(0.0, 0.1)),
    )


@st.composite
def sites(draw: st.DrawFn) -> Site:
    return replace(
        Site(),
        gbits=draw(st.floats(0.1, 1e4)),
        gets=draw(st.floats(100, 1e6)),
        fetch_seconds=draw(st.floats(0.0, 1.0)),
        failures=draw(st.floats(0.0, 1.0)),
        **{name: draw(st.floats(0.0, 10.0)) for name in PRICES},
    )


@quick
@given(slices, cores, st.integers(1, 20_000), rates(), sites(), st.integers(1, 8))
def test_more_cores_never_take_longer(
    many: float, some: int, further: int, rates: Rates, site: Site, ahead: int
) -> None:
    design = replace(ONE_RUN, ahead=ahead, lists_first=ahead % 2 == 0)
    few, more = (Plan(many, each, rates, site, design).case().wall() for each in (some, some + further))
    assert more <= few * (1 + 1e-9)


@quick
@given(slices, cores, rates(), sites())
def test_no_run_is_shorter_than_its_work_on_cores_that_are_never_idle(
    many: float, some: int, rates: Rates, site: Site
) -> None:
    for design in DESIGNS.values():
        plan = Plan(many, some, rates, site, design(many, some, rates, site))
        assert plan.case().wall() * some >= many * rates.core_seconds * (1 - 1e-9)
        assert plan.case().wall() >= plan.bytes_read * 8 / 1e9 / (plan.design.gbits or site.gbits) * (
            1 - 1e-9
        )


@quick
@given(slices, rates(), sites(), st.floats(0.0, 100.0))
def test_money_is_linear_in_every_price(many: float, rates: Rates, site: Site, times: float) -> None:
    plan = Plan(many, 64, rates, site, ONE_RUN)
    whole = plan.money()
    for name in PRICES:
        dearer = replace(plan, site=replace(site, **{name: times * getattr(site, name)})).money()
        free = replace(plan, site=replace(site, **{name: 0.0})).money()
        for item, cost in dearer.items():
            assert cost == pytest.approx(free[item] + times * (whole[item] - free[item]), rel=1e-6, abs=1e-6)
    free = replace(plan, site=replace(site, **dict.fromkeys(PRICES, 0.0)))
    assert sum(free.money().values()) == 0


@quick
@given(st.integers(1, 1000), st.integers(2, 1000), rates(), sites())
def test_money_is_linear_in_the_slices(chunks: int, times: int, rates: Rates, site: Site) -> None:
    one = Plan(1, 64, rates, site, ONE_RUN)
    whole = chunks * one.chunk_units * rates.unit_slices
    few, many = (Plan(each, 64, rates, site, ONE_RUN).money() for each in (whole, whole * times))
    assert sum(many.values()) == pytest.approx(times * sum(few.values()))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, "cores"),
        ({"gbits": 0.1}, "bandwidth"),
        ({"gets": 100.0}, "requests"),
        ({"list_seconds": 500.0}, "listing"),
        ({"fetch_seconds": 5.0}, "waiting for files"),
    ],
)
def test_the_bottleneck_is_what_was_made_scarce(change: dict[str, float], word: str) -> None:
    plenty = replace(Site(), gbits=1e4, gets=1e6, puts=1e6, fetch_seconds=0.001, list_seconds=0.001)
    site = replace(plenty, **change)
    assert Plan(1e8, 64, RATES, site, ONE_RUN).case().bottleneck() == word


def test_a_run_has_work_for_no_more_cores_than_tasks() -> None:
    plan = Plan(1e9, 16_384, RATES, replace(Site(), gbits=1e6, gets=1e9, fetch_seconds=0), ONE_RUN)
    assert plan.tasks == ONE_RUN.most_tasks < plan.cores
    assert plan.case().wall() == replace(plan, cores=plan.tasks).case().wall()


def test_the_limits_are_the_cores_at_which_the_bottleneck_changes() -> None:
    site = replace(Site(), failures=0, slow_share=0, list_seconds=0)
    plan = Plan(1e9, 1, replace(RATES, list_seconds=1e-9, start_seconds=0), site, ONE_RUN)
    edge = plan.limits()["bandwidth"]
    below, above = (replace(plan, cores=round(edge * factor)).case().bottleneck() for factor in (0.8, 1.3))
    assert (below, above) == ("cores", "bandwidth")


def test_new_tables_replace_the_old_ones_of_a_document() -> None:
    text = "before\n<!-- scale_plan: {} -->\n{}<!-- end -->\nafter\n"
    new = scale_plan.filled(text.format("one run", ""), {"one run": "| a |\n| b |"})
    assert new == text.format("one run", "| a |\n| b |\n")
    assert scale_plan.filled(new, {"one run": "c"}) == text.format("one run", "c\n")


def test_a_document_without_a_table_is_refused() -> None:
    with pytest.raises(SystemExit, match="sizes"):
        scale_plan.filled("<!-- scale_plan: rates -->\nold\n<!-- end -->", {"rates": "new", "sizes": "new"})
