"""The simulation that checks the plan for large archives, and the plan as the document has it."""

import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks come with the repository only", allow_module_level=True)
pytest.importorskip("simpy")
sys.path.insert(0, str(BENCHMARKS))
try:
    from scale.check import foretell, real_case, tail
    from scale.formulas import Case, Plan, Site
    from scale.measured_tables import real_runs
    from scale.rates import ONE_RUN, rates_of
    from scale.simulation import simulate
    from scale.tables import formula_blocks
finally:
    sys.path.remove(str(BENCHMARKS))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(10, 30),
    st.integers(30, 60),
    st.floats(0.1, 1000.0),
    st.floats(0.0, 3.0),
    st.dictionaries(st.sampled_from(["bandwidth", "requests", "coordinator"]), st.floats(0.0, 4.0)),
    st.floats(0.0, 2.0),
    st.booleans(),
)
def test_the_simulation_is_within_5_percent_of_the_formula_where_nothing_fails(
    workers: int, rounds: int, work: float, wait: float, shared: dict[str, float], listing: float, first: bool
) -> None:
    holds = {name: share * work / workers for name, share in shared.items()}
    tasks = workers * rounds
    case = Case(
        tasks, workers, work, wait=wait * work, holds=holds, listing=rounds * listing * work, start=work
    )
    case = replace(case, lists_first=first)
    assert simulate(case).seconds == pytest.approx(case.wall(), rel=0.05)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 8), st.floats(0.0, 6.0))
def test_threads_that_wait_for_files_leave_their_core_to_others(threads: int, wait: float) -> None:
    case = Case(threads * 4 * 60, 4, work=1.0, threads=threads, wait=wait)
    assert simulate(case).seconds == pytest.approx(case.wall(), rel=0.05)
    assert case.wall() <= replace(case, threads=1).wall()


def test_failures_and_slow_tasks_cost_what_the_formula_says() -> None:
    case = Case(16 * 200, 16, work=60.0, chunks=4, failures=2 / 3600, down=100, slow_share=0.1, slow_factor=2)
    seen = simulate(case)
    assert seen.lost > 50
    assert seen.seconds == pytest.approx(case.wall(), rel=0.05)
    assert seen.seconds > 1.1 * simulate(case.calm()).seconds
    assert 0 < seen.repeated < 2 * case.failures * case.work / case.chunks


def test_a_worker_that_fails_keeps_the_chunks_that_it_had_finished() -> None:
    case = Case(64, 8, work=3600.0, failures=1 / 3600, down=1.0)
    assert simulate(replace(case, chunks=100)).repeated < 0.1 * simulate(case).repeated


def test_few_tasks_a_core_leave_cores_idle_at_the_end() -> None:
    plan = Plan(1e8, 1_024, rates_of(measured(), "dicom"), Site(), ONE_RUN)
    few, many = (tail(plan, tasks) for tasks in (2, 50))
    assert few[0] == pytest.approx(1)  # all alike: they end together
    assert few[1] > many[1] > 1


def measured() -> dict[str, Any]:
    return json.loads((BENCHMARKS / "scale_rates.json").read_text(encoding="utf-8"))


def test_real_runs_are_simulated_from_rates_of_other_runs() -> None:
    known = measured()
    for run, told in zip(known["runs"], foretell(known), strict=True):
        assert told.seconds == run["seconds"]
        assert told.formula == pytest.approx(real_case(run, known).wall())
        assert told.simulated == pytest.approx(told.formula, rel=0.25)


def test_every_assumption_is_an_option_and_the_document_has_the_tables_that_are_printed() -> None:
    known = measured()
    tables = formula_blocks(known, "dicom", rates_of(known, "dicom"), Site()) | {
        "real runs": real_runs(known)
    }
    for each in fields(Site):
        assert f"`--{each.name.replace('_', '-')} {each.default:g}`" in tables["assumptions"]
    text = (BENCHMARKS.parent / "docs" / "scale.md").read_text(encoding="utf-8")
    for name, table in tables.items():
        assert f"<!-- scale_plan: {name} -->\n{table}\n<!-- end -->" in text
