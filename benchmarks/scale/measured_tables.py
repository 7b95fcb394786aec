"""What was measured, as tables and sentences."""

import statistics
from collections.abc import Mapping
from typing import Any

from scale.check import foretell
from scale.formulas import Rates
from scale.markdown import amount, number, short, span, table

Document = Mapping[str, Any]

NOISE = 0.1  # share of the machine from which rates by the clock mean little
QUIET = ": too much for rates by the clock; measure again on a quiet one"
FORMS = {"mat": "`.mat`", "png": "PNG", "dicom": "DICOM"}


def rates_table(measured: Document) -> str:
    """The rates of each form of archive."""
    about, rows = measured["about"], []
    for form, known in measured["forms"].items():
        times = (statistics.median(known[name]) for name in ("alone_seconds", "all_seconds"))
        used = sorted(known["all_core_seconds"])
        spread = f"({number(1 / used[-1])} to {number(1 / used[0])})"
        rows.append(
            [
                FORMS[form] + (f", series of {known['unit_slices']}" if known["unit_slices"] > 1 else ""),
                amount(known["slice_bytes"]),
                *(number(1 / each) if each > 0 else "?" for each in times),
                f"**{number(1 / statistics.median(used))}** {spread}",
                amount(known["worker_mb"] * 1e6),
                span(statistics.median(known["start_seconds"])),
            ]
        )
    head = (
        "archive of",
        "a slice",
        "slices/s, one core alone",
        f"slices/s of a core, all {about['cores']} at work",
        "the same by processor time (range)",
        "a worker's memory",
        "a process's start",
    )
    rounds = "one round" if about["rounds"] == 1 else f"{about['rounds']} rounds"
    others = statistics.median(each for known in measured["forms"].values() for each in known["others"])
    words = (
        f"Measured on {about['date']}: {about['processor']}, {about['cores']} cores, "
        f"{number(about['memory_gb'])} GB; Python {about['python']}, ONNX Runtime {about['onnxruntime']}, "
        f"tumorlens {about['tumorlens']} with the bundle that comes along, {about['bundle']}; "
        f"{about['slices']} slices of the public dataset ({about['different_slices']} different ones); "
        f"medians of {rounds}. All files were in the machine's cache. "
        f"Other programs used {100 * others:.0f}% of the machine meanwhile{QUIET if others > NOISE else ''}."
    )
    return f"{words}\n\n{table(head, rows)}"


def other_rates(measured: Document) -> str:
    """The rest of the rates."""
    lists, keys, parts = measured["listing"], measured["keys"], measured["parts"]
    png, dicom = measured["forms"]["png"], measured["forms"]["dicom"]
    list_times = (short(lists[f"{name}_seconds_per_1000"]) for name in ("list", "plan"))
    held = (lists["plan_bytes_a_chunk"], keys["peak_bytes"])
    told = {
        "a row of Parquet; a part without its rows": (amount(png["row_bytes"]), amount(png["part_bytes"])),
        f"a part of {parts['rows']} rows: written and synced; its keys read to go on": (
            short(parts["write_seconds"]),
            short(parts["resume_seconds"]),
        ),
        "1,000 names listed; listed and planned": list_times,
        "the coordinator's memory: a chunk of Ray's plan; an input that is done": map(amount, held),
        "an input's text in the plan: a picture; a series": (
            amount(png["unit_text_bytes"]),
            amount(dicom["unit_text_bytes"]),
        ),
    }
    for name, each in measured["files"].items():
        told[f"`--write {name}`, a slice"] = (amount(each["bytes"]), short(each["seconds"]))
    ray = measured.get("ray")
    if ray is not None:
        told["Ray's own time: a task; a chunk in it"] = (
            short(ray["task_seconds"]),
            short(ray["batch_seconds"]),
        )
        told["Ray: until the first chunk is told; a worker's memory"] = (
            span(statistics.median(ray["first_part_seconds"])),
            amount(ray["worker_mb"] * 1e6),
        )
    return table(("what", "measured"), [[what, "; ".join(values)] for what, values in told.items()])


def real_runs(measured: Document) -> str:
    """Real runs and what was foretold of them."""
    found = foretell(measured)
    rows = [
        [
            each.name,
            f"{each.scans}",
            f"{span(each.real)} ({number(min(each.seconds))} to {number(max(each.seconds))})",
            span(each.formula),
            span(each.simulated),
            f"{100 * each.off:+.0f}%",
        ]
        for each in found
    ]
    head = ("run", "scans", "real, median (range)", "formula", "simulated", "simulated against real")
    off = [abs(each.off) for each in found]
    words = (
        f"The simulation is off by {100 * statistics.median(off):.0f}% (median) and {100 * max(off):.0f}% at "
        "most. Times are from the command to its end; on Ray, with a cluster that is up."
    )
    others = statistics.median(each for run in measured["runs"] for each in run.get("others", ()))
    if others > NOISE:
        words += (
            f" Other programs used {100 * others:.0f}% of the machine during the runs without Ray (median), "
            "which makes real times longer than foretold."
        )
    return f"{table(head, rows)}\n\n{words}"


def graphics(measured: Document, form: str, rates: Rates) -> str:
    """How far a graphics processor could go at most."""
    stages = measured["forms"][form]["stage_seconds"]
    share = stages["analyse"] / sum(stages.values())
    most = 1 / (1 - share)
    return (
        f"Of a slice's time, {100 * share:.0f}% is analysis; reading, listing and writing stay on the cores. "
        f"So a core that leaves its analysis to a graphics processor feeds {number(most)} times as many "
        f"slices as it does now, {number(most / rates.core_seconds)} a second, and no more."
    )
