"""What an archive of any size takes: formulas over measured rates, a site's own numbers and a design.

Units: seconds, bytes (GB = 10^9), slices, cores; money in whatever the prices are in.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

GB = 1e9
HOUR = 3600.0
LISTED = 1_000  # names that one LIST request gives


@dataclass(frozen=True)
class Rates:
    """What was measured for archives of one form.

    Attributes:
        core_seconds: Of a core for a slice, all cores at work, the files at hand.
        slice_bytes: Of a slice in the archive.
        unit_slices: Slices of a unit: 1 of a picture, those of a series of DICOM.
        unit_text_bytes: A unit in the plan that workers read.
        row_bytes: A unit's row in Parquet.
        part_bytes: A part of Parquet without its rows.
        start_seconds: Of a worker, until it has the bundle.
        list_seconds: Of the coordinator's core, for a name: list, put together, plan.
        task_seconds: Of the coordinator, for a task.
        chunk_seconds: Of the coordinator, for a chunk in a task.
        commit_seconds: To write a part.
    """

    core_seconds: float
    slice_bytes: float
    unit_slices: int
    unit_text_bytes: float
    row_bytes: float
    part_bytes: float
    start_seconds: float
    list_seconds: float
    task_seconds: float
    chunk_seconds: float
    commit_seconds: float


@dataclass(frozen=True)
class Site:
    """What only the reader knows; the values here are examples and not measured.

    Attributes:
        core_price: Of a core for an hour.
        keep_price: Of a GB kept for a month.
        transfer_price: Of a GB read.
        get_price: Of 1,000 reading requests.
        put_price: Of 1,000 writing or listing requests.
        months: That results are kept.
        gbits: Bandwidth between storage and all workers together, Gbit/s.
        machine_cores: Of a machine that stands beside the storage.
        machine_gbits: Bandwidth of such a machine, Gbit/s.
        gets: Reading requests a second that a prefix of the storage answers.
        puts: Writing ones.
        fetch_seconds: From asking for a file to having it.
        list_seconds: Of one LIST request.
        failures: Workers lost, for a core and an hour.
        replace_seconds: Until there is another one.
        slow_share: Of the tasks, those that are slow.
        slow_factor: How much longer these take.
    """

    core_price: float = 0.05
    keep_price: float = 0.02
    transfer_price: float = 0.01
    get_price: float = 0.0004
    put_price: float = 0.005
    months: float = 12
    gbits: float = 10
    machine_cores: float = 64
    machine_gbits: float = 25
    gets: float = 5_500
    puts: float = 3_500
    fetch_seconds: float = 0.05
    list_seconds: float = 0.2
    failures: float = 0.02
    replace_seconds: float = 120
    slow_share: float = 0.02
    slow_factor: float = 3.0


@dataclass(frozen=True)
class Design:
    """How a run is laid out.

    Attributes:
        name: What tables call it.
        runs: Runs at once, each with a share of the archive, a coordinator and an output folder of its own.
        chunk_units: Units of a part, at most.
        chunk_bytes: Of the files of a part, at most.
        most_tasks: Of a run.
        ahead: Units whose files a worker fetches while it works on one.
        files: Of these, fetched at once.
        inventory: Whether names come from an inventory file and not from LIST requests.
        lists_first: Whether all is listed before the first task.
        prefixes: Of the storage, over which requests are spread.
        gbits: Bandwidth, where the design changes the site's.
    """

    name: str
    runs: int = 1
    chunk_units: int = 64
    chunk_bytes: int = 256 << 20
    most_tasks: int = 10_000
    ahead: int = 8
    files: int = 16
    inventory: bool = False
    lists_first: bool = True
    prefixes: int = 1
    gbits: float | None = None


@dataclass(frozen=True)
class Case:
    """A run as tasks, workers and what these share: what both `wall` and the simulation take.

    Attributes:
        tasks: Handed out one by one.
        cores: That work.
        threads: Of a core.
        work: Seconds of a core for a task.
        wait: Seconds that a task waits for files that aren't there yet, without using a core.
        holds: Seconds for which a task holds each thing that all share, such as the network.
        listing: Seconds to list all.
        lists_first: Whether no task begins before that.
        start: Seconds until a worker is ready.
        chunks: Of a task; finished ones survive the worker.
        failures: Workers lost, for a second of work.
        down: Seconds without a lost worker, its successor's start included.
        slow_share: Of the tasks, those that are slow.
        slow_factor: How much longer these take.
        spread: Of the work of a task, as a share of its mean (standard deviation).
    """

    tasks: int
    cores: int
    work: float
    threads: int = 1
    wait: float = 0.0
    holds: Mapping[str, float] = field(default_factory=dict)
    listing: float = 0.0
    lists_first: bool = True
    start: float = 0.0
    chunks: float = 1.0
    failures: float = 0.0
    down: float = 0.0
    slow_share: float = 0.0
    slow_factor: float = 1.0
    spread: float = 0.0

    @property
    def workers(self) -> int:
        """Threads that take tasks."""
        return self.cores * self.threads

    @property
    def dearer(self) -> float:
        """By how much slow tasks and lost workers make the work longer, on the mean."""
        lost = (self.work + self.wait) / self.chunks / 2 + self.down
        return (1 + self.slow_share * (self.slow_factor - 1)) * (1 + self.failures * lost)

    def times(self) -> dict[str, float]:
        """What the run takes by each of its limits alone, in seconds; the longest one counts."""
        cycle = (self.work + self.wait) * self.dearer + sum(self.holds.values())
        rounds = math.ceil(self.tasks / self.workers)
        alone = rounds * cycle
        if self.threads > 1:
            alone = max(alone, math.ceil(self.tasks / self.cores) * self.work * self.dearer)
        times = {"cores": self.start + alone}
        ends = self.start + (self.work + self.wait) / max(1, self.chunks)  # nothing is held before and after
        times |= {name: ends + self.tasks * held for name, held in self.holds.items()}
        return times if self.lists_first else {**times, "listing": self.listing + cycle}

    def wall(self) -> float:
        """Seconds from the command to the last row."""
        return self.listing * self.lists_first + max(self.times().values())

    def bottleneck(self) -> str:
        """What the run waits for most."""
        times = self.times()
        longest = max(times, key=lambda name: times[name])
        if self.lists_first and self.listing > times[longest]:
            return "listing"
        if longest != "cores":
            return longest
        if self.tasks < self.cores:
            return "too few tasks"
        return "waiting for files" if self.threads == 1 and self.wait > self.work else "cores"

    def calm(self) -> "Case":
        """The same where nothing fails and nothing is slow."""
        return replace(self, failures=0.0, slow_share=0.0, spread=0.0)

    def smaller(self, cores: int, tasks: int) -> "Case":
        """A piece of the run that can be simulated: fewer cores, each with as much of everything as before.

        Args:
            cores: At most so many.
            tasks: At most so many.
        """
        kept = min(cores, self.cores)
        share = kept / self.cores
        few = max(1, min(round(self.tasks * share), tasks))
        holds = {name: held / share for name, held in self.holds.items()}
        listing = self.listing * few / share / self.tasks
        return replace(self, cores=kept, tasks=few, holds=holds, listing=listing)


@dataclass(frozen=True)
class Plan:
    """A run over so many slices on so many cores."""

    slices: float
    cores: int
    rates: Rates
    site: Site
    design: Design

    @property
    def units(self) -> float:
        """Of the archive."""
        return self.slices / self.rates.unit_slices

    @property
    def chunk_units(self) -> int:
        """Units of a part, as large ones make it."""
        by_bytes = math.ceil(self.design.chunk_bytes / (self.rates.slice_bytes * self.rates.unit_slices))
        return min(self.design.chunk_units, by_bytes)

    @property
    def chunks(self) -> int:
        """Of all runs, which are the parts as well."""
        return math.ceil(self.units / self.chunk_units)

    @property
    def tasks(self) -> int:
        """Of all runs."""
        return min(self.chunks, self.design.most_tasks * self.design.runs)

    @property
    def bytes_read(self) -> float:
        """The archive's own, and the plan's."""
        return self.slices * self.rates.slice_bytes + self.units * self.rates.unit_text_bytes

    @property
    def rows_bytes(self) -> float:
        """Of all parts."""
        return self.units * self.rates.row_bytes + self.chunks * self.rates.part_bytes

    @property
    def gets(self) -> float:
        """Reading requests: a file each; and a chunk's plan, and whether it is done."""
        return self.slices + 2 * self.chunks

    @property
    def lists(self) -> float:
        """LIST requests: the names once for the work and once for the time left."""
        return 0.0 if self.design.inventory else 2 * self.slices / LISTED

    @property
    def wait_seconds(self) -> float:
        """For which a worker waits for a slice's file, although it is fetched while others are worked on."""
        flying = min(self.design.ahead * self.rates.unit_slices, self.design.files)
        return max(0.0, self.site.fetch_seconds / flying - self.rates.core_seconds)

    @property
    def first_seconds(self) -> float:
        """For which a worker waits for a chunk's first unit, which nothing was done before."""
        return self.site.fetch_seconds * math.ceil(self.rates.unit_slices / self.design.files)

    def listing(self) -> float:
        """Seconds until all is listed and planned."""
        asked = 0.0 if self.design.inventory else self.slices / LISTED * self.site.list_seconds
        return (asked + self.slices * self.rates.list_seconds) / self.design.runs

    def case(self) -> Case:
        """The same as tasks."""
        rates, site, design = self.rates, self.site, self.design
        slices, chunks = self.slices / self.tasks, self.chunks / self.tasks
        bandwidth = (design.gbits or site.gbits) * GB / 8
        return Case(
            tasks=self.tasks,
            cores=self.cores,
            work=slices * rates.core_seconds + chunks * rates.commit_seconds,
            wait=slices * self.wait_seconds + chunks * self.first_seconds,
            holds={
                "bandwidth": self.bytes_read / self.tasks / bandwidth,
                "requests": self.gets / self.tasks / (site.gets * design.prefixes)
                + chunks / (site.puts * design.prefixes),
                "coordinator": (rates.task_seconds + chunks * rates.chunk_seconds) / design.runs,
            },
            listing=self.listing(),
            lists_first=design.lists_first,
            start=rates.start_seconds,
            chunks=chunks,
            failures=site.failures / HOUR,
            down=site.replace_seconds + rates.start_seconds,
            slow_share=site.slow_share,
            slow_factor=site.slow_factor,
        )

    @property
    def work_hours(self) -> float:
        """Core-hours of work, where nothing waits and nothing fails."""
        return self.slices * self.rates.core_seconds / HOUR

    @property
    def paid_hours(self) -> float:
        """Core-hours from the first second to the last, as somebody who rents the cores pays for them."""
        return self.cores * self.case().wall() / HOUR

    def money(self, kept_bytes: float | None = None) -> dict[str, float]:
        """What it costs, by what for.

        Args:
            kept_bytes: Of the results; None for the rows alone.
        """
        site = self.site
        kept = self.rows_bytes if kept_bytes is None else kept_bytes
        asked = self.gets / 1000 * site.get_price + (self.lists + self.chunks) / 1000 * site.put_price
        return {
            "cores": self.work_hours * site.core_price,
            "transfer": self.bytes_read / GB * site.transfer_price,
            "requests": asked,
            "keeping": kept / GB * site.keep_price * site.months,
        }

    def limits(self) -> dict[str, float]:
        """Cores from which each shared thing, and no longer they, decides the time."""
        one = replace(self, cores=1).case().calm()
        cycle = max(one.work, (one.work + one.wait) / one.threads)
        cores = {name: cycle / held for name, held in one.holds.items()}
        return {**cores, "tasks": float(one.tasks), "listing": one.tasks * cycle / one.listing}
