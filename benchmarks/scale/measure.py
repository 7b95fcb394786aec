"""The real rates behind `scale_plan.py`: called by ``scale_plan.py measure``. Linux only.

Runs of ``tumorlens batch`` with the bundle that comes along, in turns over several rounds. All files are in
the machine's cache: what a disk or a network takes is a site's own, not a rate.
"""

import datetime as dt
import importlib.util
import os
import platform
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime

from scale.archives import FORMS, SERIES, make_archives, part_of
from scale.runs import Run, batch, distant_batch, run, run_everywhere
from tumorlens import Analyzer, __version__, read_scan
from tumorlens.batch import ray_engine
from tumorlens.batch.archive import open_archive
from tumorlens.batch.destination import Destination
from tumorlens.batch.keys import KeySet
from tumorlens.batch.rows import load_libraries, to_parquet
from tumorlens.batch.unit import chunks_of
from tumorlens.batch.work import TOGETHER
from tumorlens.finding.write import write_finding

AWAY = 0.05  # seconds that a file takes to come, in the runs that are about that
NAMES = 20_000
PARTS = 400
FEW = 2 * SERIES  # slices of the smaller of two runs
FILES = {"mask": "png", "json": "png", "seg": "dicom"}

Document = dict[str, Any]


def measure(sources: Path, count: int, rounds: int, minutes: float) -> Document:
    """All rates.

    Args:
        sources: A folder with .mat files of the public dataset.
        count: Slices of an archive.
        rounds: Of all runs.
        minutes: After which no further round begins.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        different = make_archives(sources, folder, count)
        load_libraries()
        told: Document = {
            "about": {**about(), "slices": count, "different_slices": different},
            "files": files(folder),
            "listing": listing(folder),
            "keys": keys(),
        }
        seen: dict[str, list[Run]] = {}
        done = 0
        while done < rounds:
            round_began = time.monotonic()
            one_round(folder, count, seen)
            done += 1
            took = time.monotonic() - round_began
            print(f"round {done}: {took:.0f} s", flush=True)
            if time.monotonic() - began + took > 60 * minutes:
                break
        told["forms"] = {form: form_rates(folder, form, count, seen) for form in FORMS}
        told["runs"] = [real_run(name, count, seen) for name in REAL]
        told["parts"] = parts(folder)
        if importlib.util.find_spec("ray") is not None:
            from scale import ray_runs

            told["ray"], runs = ray_runs.measure(folder, count)
            told["runs"] += runs
    told["about"] |= {"rounds": done, "minutes": round((time.monotonic() - began) / 60, 1)}
    return told


def about() -> Document:
    """Which machine and which software."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "tumorlens": __version__,
        "bundle": Analyzer().name,
    }


# Runs that the simulation has to foretell: chunk, workers, cores, seconds a file is away; all on PNG files.
REAL = {
    "one core, one worker": (8, 1, 1, 0.0),
    "two cores, two workers": (16, 2, 2, 0.0),
    "one core, one worker, files 50 ms away": (8, 1, 1, AWAY),
    "one core, three workers, files 50 ms away": (8, 3, 1, AWAY),
}


def one_round(folder: Path, count: int, seen: dict[str, list[Run]]) -> None:
    """All runs once."""
    cores = sorted(os.sched_getaffinity(0))
    for form in FORMS:
        chunk = 1 if form == "dicom" else SERIES
        for name, slices in (("few", FEW), ("many", count)):
            with tempfile.TemporaryDirectory() as out:
                archive = part_of(
                    folder / form, Path(out, "in"), slices if form != "dicom" else slices // SERIES
                )
                alone = run(batch(archive, Path(out, "out"), 1, chunk), cores[:1])
                seen.setdefault(f"{form} alone {name}", []).append(alone)
                seen.setdefault(f"{form} all {name}", []).extend(run_everywhere(archive, cores, chunk))
    for name, (chunk, workers, used, away) in REAL.items():
        with tempfile.TemporaryDirectory() as out:
            archive, place = (
                part_of(folder / "png", Path(out, "in"), real_count(count, used)),
                Path(out, "out"),
            )
            command = batch(archive, place, workers, chunk)
            if away:
                command = distant_batch(archive, place, workers, chunk, away)
            seen.setdefault(name, []).append(run(command, cores[:used]))


def real_count(count: int, cores: int) -> int:
    """Scans of a run that the simulation has to foretell: other than those that the rates are from."""
    return count * 2 // 3 if cores == 1 else count


def form_rates(folder: Path, form: str, count: int, seen: dict[str, list[Run]]) -> Document:
    """The rates of one form of archive.

    What a slice takes is the difference of two runs, so that a process's start isn't in it; by the clock,
    and in processor time, which other programs on the machine change less.
    """
    rates: dict[str, list[float]] = {}
    runs: dict[str, list[Run]] = {}
    for which in ("alone", "all"):
        few, runs[which] = (seen[f"{form} {which} {name}"] for name in ("few", "many"))
        pairs = list(zip(few, runs[which], strict=True))
        for name in ("seconds", "core_seconds"):
            found = [(getattr(many, name) - getattr(one, name)) / (count - FEW) for one, many in pairs]
            rates[f"{which}_{name}"] = [round(each, 5) for each in found]
    slice_seconds = statistics.median(rates["alone_core_seconds"])
    starts = [each.core_seconds - count * slice_seconds for each in runs["alone"]]
    every = [each for each in (folder / form).rglob("*") if each.is_file()]
    large = [*runs["alone"], *runs["all"]]
    stages = large[0].stages
    return {
        "slice_bytes": round(sum(each.stat().st_size for each in every) / count),
        "unit_slices": SERIES if form == "dicom" else 1,
        **rates,
        "start_seconds": [round(max(0.0, each), 3) for each in starts],
        "others": [round(each.others, 3) for each in runs["alone"]],
        "worker_mb": round(max(each.peak_bytes for each in large) / 1e6),
        "stage_seconds": {name: round(value / count, 6) for name, value in stages.items()},
        **rows(folder, form),
    }


def rows(folder: Path, form: str) -> Document:
    """Bytes of a row and of a part without rows, from parts of different sizes; how unlike inputs are."""
    with tempfile.TemporaryDirectory() as out:
        run(batch(folder / form, Path(out), 1, TOGETHER), sorted(os.sched_getaffinity(0))[:1])
        destination = Destination(out)
        parts = [destination.rows(name) or [] for name in destination.parts()]
    found = [row for part in parts for row in part]
    few, many = len(to_parquet(found[: len(found) // 2])), len(to_parquet(found))
    each = (many - few) / (len(found) - len(found) // 2)
    times = [sum(row["read_seconds"] + row["analyse_seconds"] for row in part) / len(part) for part in parts]
    units = list(open_archive(str(folder / form)).units(None))
    text = sum(len(chunk.to_json()) for chunk in chunks_of(units, 1))
    return {
        "row_bytes": round(each),
        "part_bytes": round(many - len(found) * each),
        "spread": round(statistics.pstdev(times) / statistics.mean(times), 3),
        "unit_text_bytes": round(text / len(units)),
    }


def files(folder: Path) -> Document:
    """Bytes and processor time of the files that are written when asked for, for a slice."""
    analyzer, told = Analyzer(), {}
    with tempfile.TemporaryDirectory() as out:
        for name, form in FILES.items():
            scans = sorted((folder / form).iterdir())[: 1 if form == "dicom" else SERIES]
            findings = [analyzer.analyze(read_scan(each)) for each in scans]
            write_finding(findings[0], Path(out, "first"), name, [name])  # libraries are loaded
            began = time.process_time()
            for number, finding in enumerate(findings):
                write_finding(finding, Path(out, name), f"{number}", [name])
            seconds = time.process_time() - began
            size = sum(each.stat().st_size for each in Path(out, name).rglob("*") if each.is_file())
            told[name] = {"bytes": round(size / SERIES), "seconds": round(seconds / SERIES, 5)}
    return told


def timed(work: Callable[[], object], times: int = 3) -> float:
    """The median of several times, in seconds of the processor."""
    seconds = []
    for _ in range(times):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def listing(folder: Path) -> Document:
    """Seconds of a core for a name, and what the plan of Ray's engine leaves in memory for a chunk."""
    place = folder / "names"
    for number in range(NAMES):
        path = place / f"{number // 500:04d}" / f"scan-{number:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    archive, destination = open_archive(str(place)), Destination(str(folder / "plan"))

    def plan(size: int) -> tuple[object, object]:
        names: set[str] = set()
        return ray_engine._plan(chunks_of(archive.units(None), size), destination, names), names

    listed = timed(lambda: sum(1 for _ in archive.units(None)))
    planned = timed(lambda: plan(64))
    tracemalloc.start()
    kept = plan(1)
    bytes_a_chunk = tracemalloc.get_traced_memory()[0] / NAMES
    tracemalloc.stop()
    del kept
    return {
        "names": NAMES,
        "list_seconds_per_1000": round(1000 * listed / NAMES, 5),
        "plan_seconds_per_1000": round(1000 * planned / NAMES, 5),
        "plan_bytes_a_chunk": round(bytes_a_chunk),
    }


def keys() -> Document:
    """Memory of the keys of inputs that are done, for an input."""
    many = 400_000
    tracemalloc.start()
    known = KeySet()
    for begin in range(0, many, 16_384):
        known.add([os.urandom(16) for _ in range(begin, min(begin + 16_384, many))])
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"bytes": round(kept / many, 1), "peak_bytes": round(peak / many, 1)}


def parts(folder: Path) -> Document:
    """Seconds to write a part of 64 rows and to read one's keys when a run goes on."""
    with tempfile.TemporaryDirectory() as out:
        run(batch(folder / "png", Path(out), 1, 64), os.sched_getaffinity(0))
        first = Destination(out)
        found = max((first.rows(name) or [] for name in first.parts()), key=len)
    destination = Destination(str(folder / "parts"))
    writing = []
    for number in range(PARTS):
        began = time.perf_counter()
        destination.write_part(f"part-{number:032x}.parquet", found)
        writing.append(time.perf_counter() - began)
    return {
        "rows": len(found),
        "write_seconds": round(statistics.median(writing), 5),
        "resume_seconds": round(timed(destination.done) / PARTS, 6),
    }


def real_run(name: str, count: int, seen: dict[str, list[Run]]) -> Document:
    """What a run took that the simulation has to foretell."""
    chunk, workers, cores, away = REAL[name]
    return {
        "name": name,
        "engine": "local",
        "scans": real_count(count, cores),
        "chunk": chunk,
        "workers": workers,
        "cores": cores,
        "away_seconds": away,
        "seconds": [round(each.seconds, 2) for each in seen[name]],
        "others": [round(each.others, 3) for each in seen[name]],
    }
