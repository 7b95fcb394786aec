"""From what `scale.measure` found to the numbers that formulas take, and the designs that are compared."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scale.formulas import Design, Rates, Site
from tumorlens.batch import ahead, ray_engine, unit
from tumorlens.batch.options import CHUNK

SHARD_CORES, SHARD_SLICES = 64, 100_000  # a shard for so many cores, none smaller
CHUNKS_A_CORE, MOST_UNITS, MOST_BYTES = 100, 1_000, 2 << 30  # so many chunks, none larger

ONE_RUN = Design(
    "one run",
    chunk_units=CHUNK,
    chunk_bytes=unit._MOST_BYTES,
    most_tasks=ray_engine._MOST_BLOCKS,
    ahead=ahead._AT_ONCE,
    files=ahead._FILES_AT_ONCE,
)
"""``tumorlens batch --engine ray`` with its defaults."""


def rates_of(measured: Mapping[str, Any], form: str) -> Rates:
    """The rates of archives of one form, all cores at work."""
    known, ray = measured["forms"][form], measured.get("ray")
    start = statistics.median(known["start_seconds"])
    if ray is not None:
        picture = statistics.median(measured["forms"]["png"]["all_core_seconds"])
        start = statistics.median(ray["first_part_seconds"]) - ray["first_part_scans"] * picture
    return Rates(
        core_seconds=statistics.median(known["all_core_seconds"]),
        slice_bytes=known["slice_bytes"],
        unit_slices=known["unit_slices"],
        unit_text_bytes=known["unit_text_bytes"],
        row_bytes=known["row_bytes"],
        part_bytes=known["part_bytes"],
        start_seconds=max(0.0, start),
        list_seconds=measured["listing"]["plan_seconds_per_1000"] / 1000,
        task_seconds=0.0 if ray is None else ray["task_seconds"],
        chunk_seconds=0.0 if ray is None else ray["batch_seconds"],
        commit_seconds=measured["parts"]["write_seconds"],
    )


def one_run(slices: float, cores: int, rates: Rates, site: Site) -> Design:
    """What a single command does, whatever the size."""
    del slices, cores, rates, site
    return ONE_RUN


def sharded(slices: float, cores: int, rates: Rates, site: Site) -> Design:
    """Several commands at once, each on a folder of its own, on machines beside the storage."""
    shards = max(1, min(cores // SHARD_CORES, int(slices // SHARD_SLICES)))
    units = math.floor(slices / rates.unit_slices / (CHUNKS_A_CORE * cores))
    machines = math.ceil(cores / site.machine_cores)
    return replace(
        ONE_RUN,
        name="sharded",
        runs=shards,
        chunk_units=min(max(units, 1), MOST_UNITS),
        prefixes=shards,
        gbits=max(site.gbits, machines * site.machine_gbits),
    )


def changed(slices: float, cores: int, rates: Rates, site: Site) -> Design:
    """The same with changes to tumorlens: inventories, listing beside the work, larger parts."""
    return replace(
        sharded(slices, cores, rates, site),
        name="changed",
        chunk_bytes=MOST_BYTES,
        inventory=True,
        lists_first=False,
    )


DESIGNS = {"one run": one_run, "sharded": sharded, "changed": changed}


def rules() -> str:
    """The designs in words."""
    return (
        f"*Sharded* has one command for every {SHARD_CORES} cores (none for fewer than {SHARD_SLICES:,} "
        "slices), each on a folder of its own with an output folder of its own, on machines beside the "
        f"storage; `--chunk` leaves each core {CHUNKS_A_CORE} chunks of at most {MOST_UNITS:,} inputs. "
        "*Changed* has names from an inventory, listed while the work goes on, and parts of up to "
        f"{MOST_BYTES >> 30} GB of files."
    )
