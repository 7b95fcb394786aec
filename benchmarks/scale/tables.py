"""The plan's tables, as Markdown, each under the name of its place in the document."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from itertools import product, zip_longest
from typing import Any

from scale.check import check, tail
from scale.formulas import GB, HOUR, LISTED, Design, Plan, Rates, Site
from scale.markdown import amount, number, span, table
from scale.measured_tables import FORMS, graphics, other_rates, rates_table, real_runs
from scale.rates import DESIGNS, ONE_RUN, rates_of, rules
from tumorlens.batch import file_list

SIZES = {"one million": 1e6, "one hundred million": 1e8, "one billion": 1e9}
FLEETS = (2, 64, 1_024, 16_384)
LINKS = (1, 10, 100)  # Gbit/s
READERS = 16  # parts that are read at once when a run goes on

Document = Mapping[str, Any]
Chosen = Callable[[float, int, Rates, Site], Design]


def blocks(measured: Document, form: str, rates: Rates, site: Site) -> dict[str, str]:
    """All tables by name."""
    return formula_blocks(measured, form, rates, site) | {
        "simulation": simulation(rates, site),
        "tail": tails(rates, site),
        "real runs": real_runs(measured),
    }


def formula_blocks(measured: Document, form: str, rates: Rates, site: Site) -> dict[str, str]:
    """The tables for which nothing is simulated."""
    told = {
        "rates": rates_table(measured),
        "other rates": other_rates(measured),
        "assumptions": assumptions(site, form),
        "sizes": sizes(measured, rates, site),
        "money": money(rates, site),
        "rules": rules(),
        "limits": limits(rates, site),
        "coordinator": coordinator(measured, form, site),
        "graphics": graphics(measured, form, rates),
    }
    return told | {name: walls(rates, site, design) for name, design in DESIGNS.items()}


_OPTIONS = {
    "core_price": "a core for an hour",
    "keep_price": "a GB kept for a month",
    "transfer_price": "a GB read",
    "get_price": "1,000 reading requests",
    "put_price": "1,000 writing or listing requests",
    "months": "months that results are kept",
    "gbits": "B: Gbit/s between storage and all workers together",
    "machine_cores": "cores of a machine beside the storage",
    "machine_gbits": "Gbit/s of such a machine",
    "gets": "G: reading requests a second, of one prefix of the storage",
    "puts": "P: writing requests a second, of one prefix",
    "fetch_seconds": "f: seconds from asking for a file to having it",
    "list_seconds": f"l: seconds of a LIST request ({LISTED:,} names)",
    "failures": "F: workers lost, for a core and an hour",
    "replace_seconds": "r: seconds until there is another one",
    "slow_share": "q: share of the tasks that are slow",
    "slow_factor": "z: times as long as others that slow tasks take",
}


def assumptions(site: Site, form: str) -> str:
    """A site's own numbers, with the options that set them."""
    told = [(f"`--form {form}`", "form of the archive: `mat`, `png`, `dicom`")]
    told += [
        (f"`--{each.name.replace('_', '-')} {getattr(site, each.name):g}`", _OPTIONS[each.name])
        for each in fields(site)
    ]
    half = (len(told) + 1) // 2
    rows = [[*left, *right] for left, right in zip_longest(told[:half], told[half:], fillvalue=("", ""))]
    return table(("assumption", "meaning") * 2, rows)


def sizes(measured: Document, rates: Rates, site: Site) -> str:
    """How large archives and results are, and how long they are on their way."""
    rows = []
    for name, slices in SIZES.items():
        plan = Plan(slices, 1, rates, site, ONE_RUN)
        archive = slices * rates.slice_bytes
        rows.append(
            [
                name,
                f"{number(plan.work_hours)} ({span(plan.work_hours * HOUR)} of one)",
                amount(archive),
                " / ".join(span(archive * 8 / GB / link) for link in LINKS),
                f"{amount(plan.rows_bytes)} in {plan.chunks:,}",
                " / ".join(amount(slices * each["bytes"]) for each in measured["files"].values()),
            ]
        )
    head = (
        "slices",
        "core-hours",
        "archive",
        f"transfer at {' / '.join(map(str, LINKS))} Gbit/s",
        "rows, in parts",
        f"files: {' / '.join(measured['files'])}",
    )
    return table(head, rows)


def money(rates: Rates, site: Site) -> str:
    """What it costs."""
    rows = []
    for name, slices in SIZES.items():
        costs = Plan(slices, 1, rates, site, ONE_RUN).money()
        archive = slices * rates.slice_bytes / GB * site.keep_price * site.months
        together = f"**{number(sum(costs.values()))}**"
        rows.append([name, *map(number, costs.values()), together, number(archive)])
    months = f"{site.months:g} months"
    head = ("slices", "cores", "transfer", "requests", f"rows, {months}", "together")
    return table((*head, f"the archive, {months}"), rows)


def walls(rates: Rates, site: Site, design: Chosen) -> str:
    """How long it takes on so many cores, what it waits for, and what the cores cost meanwhile."""
    rows = []
    for name, slices in SIZES.items():
        cells = []
        for cores in FLEETS:
            plan = Plan(slices, cores, rates, site, design(slices, cores, rates, site))
            case = plan.case()
            busy = 100 * plan.work_hours / plan.paid_hours
            paid = number(plan.paid_hours * site.core_price)
            cells.append(f"**{span(case.wall())}**, {case.bottleneck()}; {busy:.2g}%; {paid}")
        rows.append([name, *cells])
    return table(("slices", *(f"{cores:,} cores" for cores in FLEETS)), rows)


_LIMITS = {
    "bandwidth": "c × B / 8 / (b + p)",
    "requests": "c / ((1 + 2 / n) / G + 1 / (n × P))",
    "coordinator": "c × m / (T + K × m / n)",
    "tasks": "S / m",
    "listing": "c × S / L",
}


def limits(rates: Rates, site: Site) -> str:
    """From how many cores each shared thing decides, for one run."""
    each = [Plan(slices, 1, rates, site, ONE_RUN).limits() for slices in SIZES.values()]
    rows = [[name, f"`{_LIMITS[name]}`", *(f"{known[name]:,.0f}" for known in each)] for name in _LIMITS]
    return table(("what decides", "from so many cores", *SIZES), rows)


def coordinator(measured: Document, form: str, site: Site) -> str:
    """What one coordinator has to list, hold and read: for the chosen form, and for single pictures."""
    lists, keys, parts = measured["listing"], measured["keys"], measured["parts"]
    rows = []
    for each, (name, slices) in product(dict.fromkeys((form, "png")), SIZES.items()):
        rates = rates_of(measured, each)
        plan = Plan(slices, 1, rates, site, ONE_RUN)
        resume = plan.chunks * max(parts["resume_seconds"], site.fetch_seconds / READERS)
        held = plan.chunks * lists["plan_bytes_a_chunk"] + plan.units * keys["peak_bytes"]
        rows.append(
            [
                f"{name}, {FORMS[each]}",
                span(plan.listing()),
                span(slices * site.fetch_seconds / file_list._ASKED_AT_ONCE),
                amount(held),
                f"{plan.chunks:,}",
                span(resume),
                amount(plan.units * rates.unit_text_bytes),
            ]
        )
    head = (
        "slices",
        "listing, before the first task",
        f"the same from a list of URLs, a request each, {file_list._ASKED_AT_ONCE} at once",
        "memory of plan and keys",
        "parts",
        "reading all parts, to go on after a stop",
        "the plan",
    )
    return table(head, rows)


def simulation(rates: Rates, site: Site) -> str:
    """Simulation over formula for each plan."""
    rows, most = [], 0.0
    for name, slices in SIZES.items():
        for title, design in DESIGNS.items():
            cells = []
            for cores in FLEETS:
                seen = check(Plan(slices, cores, rates, site, design(slices, cores, rates, site)))
                cells.append(f"{seen.calm:.2f} / {seen.rough:.2f}")
                most = max(most, seen.repeated)
            rows.append([name, title, *cells])
    words = f"Of the work, at most {100 * most:.1f}% had to be done again."
    head = ("slices", "design", *(f"{cores:,} cores" for cores in FLEETS))
    return f"{table(head, rows)}\n\n{words}"


TASKS_A_CORE = (1, 2, 5, 20, 100)


def tails(rates: Rates, site: Site) -> str:
    """What few tasks a core cost."""
    plan = Plan(1e8, 1_024, rates, site, ONE_RUN)
    found = [tail(plan, tasks) for tasks in TASKS_A_CORE]
    rows = [
        ["all well", *(f"{calm:.2f}" for calm, _ in found)],
        ["failures and slow tasks", *(f"{rough:.2f}" for _, rough in found)],
    ]
    return table(("tasks for each core", *map(str, TASKS_A_CORE)), rows)
