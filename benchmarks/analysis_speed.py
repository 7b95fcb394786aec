"""How fast a bundle is, side by side with the paper's pair and with another public tool, in one run.

    python benchmarks/analysis_speed.py --data DIR [--bundle DIR] [--again 0.243] [--mirrored 0.141]
        [--slices 64] [--format png] [--rounds 3] [--markdown FILE]

Everything is timed from file to finding on the same real slices, in turns, round after round, so that a
machine's moods hit all alike; medians are printed and their ratios.

- tumorlens: `read_scan` and `Analyzer` with the bundle (the one that comes along, by default), on all cores,
  four files at a time as `tumorlens batch` takes them.
  A bundle that looks again where it is unsure is surer of slices that it was trained on than of others, and
  so faster. It is therefore timed with one, with two and with four looks at every slice, and the rate for the
  shares of slices never seen that are looked at again, and also mirrored, is worked out from these. The same
  in as many processes as cores, of one thread each, as `tumorlens batch --engine processes` works.
- the paper's pair: attention U-Net and classifier, both ResNet-50, in eager PyTorch on all cores with the
  same reading, preprocessing and way back, in batches of 16 and one by one; the faster of the two is what
  ours is compared with. Its weights are random, which changes nothing about its time.
- detect-tumor (PyPI; VGG16 on ONNX Runtime, types only), if installed: its own `predict` on PNG files.
- the floor: multiplications and additions of the bundle's first graph, one look, over the rate of a large
  matrix product.

`tumorlens predict` is also timed as a command, from cold process to written files, with its peak memory.
"""

import argparse
import importlib.util
import itertools
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from looks import AGAIN, MIRRORED, NEVER, with_limits
from real_slices import as_dicoms, as_pngs, some_slices

from tumorlens import read_scan
from tumorlens.analyze import Analyzer
from tumorlens.batch.unit import blocks
from tumorlens.batch.work import TOGETHER
from tumorlens.bundle import Bundle, open_bundle
from tumorlens.model import AttentionUNet, TumorClassifier
from tumorlens.parallel import beside_others, in_order, processors
from tumorlens.preprocess import prepare_image, restore_map

BATCH = 16
FORMATS = {"png": as_pngs, "dicom": as_dicoms}
Findings = Callable[[Sequence[Path]], object]


@dataclass(frozen=True)
class Contender:
    """Something that turns files into findings."""

    name: str
    run: Findings
    files: Sequence[Path]


class PaperPair:
    """The paper's two networks in eager PyTorch, from files to masks and types."""

    size = 224

    def __init__(self) -> None:
        self._outlines = AttentionUNet("resnet50").eval()
        self._names = TumorClassifier("resnet50").eval()

    def __call__(self, files: Sequence[Path], batch: int) -> list[tuple[np.ndarray, int]]:
        """Masks in the slices' own pixels, and class indices."""
        found = []
        for at in range(0, len(files), batch):
            slices = [read_scan(path).pixels[0] for path in files[at : at + batch]]
            given = np.stack([prepare_image(pixels, self.size) for pixels in slices])[:, None]
            with torch.inference_mode():
                tensor = torch.from_numpy(given)
                maps = torch.sigmoid(self._outlines(tensor)[:, 0]).numpy()
                types = self._names(tensor).argmax(1).tolist()
            masks = [
                restore_map(part, pixels.shape) >= 0.5 for part, pixels in zip(maps, slices, strict=True)
            ]
            found += list(zip(masks, types, strict=True))
        return found


def on_all_cores(analyzer: Analyzer) -> Findings:
    """Files to findings, as `tumorlens batch` goes about it; how many findings there were."""

    def found(group: Sequence[Path]) -> int:
        return len(analyzer.analyze_batch([read_scan(path) for path in group]))

    return lambda files: sum(in_order(found, list(blocks(files, TOGETHER))))


_analyzers: dict[str, Analyzer] = {}


def _load(bundle: Path | None) -> None:
    """Make this process a worker."""
    ensemble = open_bundle(bundle).load()
    _analyzers.update({name: Analyzer(with_limits(ensemble, *both)) for name, both in LIMITS.items()})


def _found(name: str, group: Sequence[Path]) -> int:
    with beside_others():
        return len(_analyzers[name].analyze_batch([read_scan(path) for path in group]))


def in_processes(pool: ProcessPoolExecutor, name: str) -> Findings:
    """Files to findings in processes of one thread each; how many findings there were."""
    return lambda files: sum(pool.map(_found, itertools.repeat(name), list(blocks(files, TOGETHER))))


def detect_tumor(file: Path) -> Findings | None:
    """The other tool, one file after the other, which is all that it offers; of PNG alone."""
    if file.suffix != ".png" or importlib.util.find_spec("detect_tumor") is None:
        return None
    from detect_tumor import TumorDetector

    detector = TumorDetector()
    return lambda files: [detector.predict(str(path)) for path in files]


def slices_per_second(contenders: Sequence[Contender], rounds: int) -> dict[str, float]:
    """Medians over rounds in which each has its turn."""
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for contender in contenders:
        contender.run(contender.files[:BATCH])
    for _ in range(rounds):
        for contender in contenders:
            began = time.perf_counter()
            contender.run(contender.files)
            rates[contender.name].append(len(contender.files) / (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in rates.items()}


def latencies(contenders: Sequence[Contender], repeats: int) -> dict[str, tuple[float, float]]:
    """Median and 95th percentile of a single slice, in milliseconds, in turns."""
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(repeats):
        for contender in contenders:
            file = contender.files[number % len(contender.files)]
            began = time.perf_counter()
            contender.run([file])
            times[contender.name].append(1000 * (time.perf_counter() - began))
    return {
        name: (statistics.median(values), float(np.quantile(values, 0.95))) for name, values in times.items()
    }


_LAUNCHER = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def cold_start(command: Sequence[str], repeats: int) -> tuple[float, float]:
    """Median seconds of a command, and its largest resident memory in MB.

    It is started from a small process: what a child of this one shares with it would count as its own.
    """
    measured = []
    for _ in range(repeats):
        launcher = [sys.executable, "-c", _LAUNCHER, *command]
        answer = subprocess.run(launcher, capture_output=True, text=True, check=True)  # noqa: S603
        measured.append([float(part) for part in answer.stdout.split()])
    return statistics.median(row[0] for row in measured), max(row[1] for row in measured)


def operations(bundle: Bundle) -> int:
    """Multiplications and additions of the first graph's convolutions and matrix products, for one look.

    ONNX Runtime's own profile tells the shapes, node by node, of the graph as it is stored.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            bundle.read(bundle.manifest.graphs[0]), options, providers=["CPUExecutionProvider"]
        )
        size = bundle.manifest.size
        session.run(None, {"image": np.zeros((1, 1, size, size), np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text())
    return sum(
        _operations_of(event["args"])
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    )


def _operations_of(node: dict[str, Any]) -> int:
    given = [next(iter(shape.values())) for shape in node["input_type_shape"]]
    made = 2 * math.prod(next(iter(node["output_type_shape"][0].values())))
    if node["op_name"] == "Conv":
        return int(made * math.prod(given[1][1:]))
    return int(made * given[0][-1]) if node["op_name"] in ("MatMul", "Gemm") else 0


def matrix_rate(side: int = 2048, repeats: int = 5) -> float:
    """Multiplications and additions a second of a product of two square matrices of 32-bit numbers."""
    a, b = (np.random.default_rng(seed).random((side, side), np.float32) for seed in (0, 1))
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - began)
    return 2 * side**3 / min(times)


ONCE = "tumorlens, one look"
AGAIN_ALL = "tumorlens, every slice looked at by both networks"
MIRRORED_ALL = "tumorlens, every slice also mirrored"
BATCHES = "the paper's pair, eager PyTorch, batches of 16"
SINGLY = "the paper's pair, one by one"
OTHER = "detect-tumor (types only)"
PROCESSES = ", in processes"
LIMITS = {ONCE: (NEVER, NEVER), AGAIN_ALL: (None, NEVER), MIRRORED_ALL: (None, None)}


def contenders_on(files: Sequence[Path], bundle: Bundle, pool: ProcessPoolExecutor) -> list[Contender]:
    """All that are compared, on the same files."""
    pair, ensemble, other = PaperPair(), bundle.load(), detect_tumor(files[0])
    ours = {name: on_all_cores(Analyzer(with_limits(ensemble, *both))) for name, both in LIMITS.items()}
    ours |= {name + PROCESSES: in_processes(pool, name) for name in LIMITS}
    theirs: dict[str, Findings] = {
        BATCHES: lambda files: pair(files, BATCH),
        SINGLY: lambda files: pair(files, 1),
    }
    known = ours | theirs | ({} if other is None else {OTHER: other})
    return [Contender(name, run, files) for name, run in known.items()]


def table(rates: dict[str, float], single: dict[str, tuple[float, float]]) -> list[str]:
    """A row a contender, in Markdown."""
    best = max(rates[BATCHES], rates[SINGLY])

    def alone(name: str) -> str:
        if name not in single:
            return "| |"
        median, slow = single[name]
        return f"{median:.1f} | {slow:.1f} | 1/{single[SINGLY][0] / median:.1f}"

    return [
        "| | slices/s | against the pair | one slice, median | 95th percentile (ms) | against the pair |",
        "| --- | --- | --- | --- | --- | --- |",
        *(f"| {name} | {rates[name]:.1f} | {rates[name] / best:.1f} × | {alone(name)} |" for name in rates),
    ]


def in_use(rates: dict[str, float], again: float, mirrored: float, way: str = "") -> str:
    """The rate where such shares of the slices are looked at again, and mirrored as well."""
    once, twice, all_ = (rates[name + way] for name in LIMITS)
    seconds = (1 - again) / once + (again - mirrored) / twice + mirrored / all_
    best = max(rates[BATCHES], rates[SINGLY])
    return (
        f"With {again:.1%} of the slices looked at again, {mirrored:.1%} also mirrored, tumorlens{way}: "
        f"{1 / seconds:.1f} slices a second, {1 / seconds / best:.1f} times the pair at its faster, "
        f"{1 / seconds / rates[BATCHES]:.1f} times the pair in batches of 16, "
        f"{1 / seconds / rates[SINGLY]:.1f} times the pair one by one."
    )


def floor(bundle: Bundle) -> str:
    """What the arithmetic of one look alone takes."""
    work, rate = operations(bundle), matrix_rate()
    return (
        f"The floor of one look: {work / 1e9:.2f} billion operations a slice over {rate / 1e9:.0f} billion a "
        f"second (product of 2048 × 2048 matrices, 32 bits) = {1000 * work / rate:.1f} ms, "
        f"{rate / work:.0f} slices/s."
    )


def from_cold(name: str, words: Sequence[str], repeats: int) -> str:
    """How long a command of this environment takes, and how much memory."""
    seconds, peak = cold_start([str(Path(sys.executable).with_name(name)), *words], repeats)
    return f"from cold: {seconds:.2f} s (median), at most {peak:.0f} MB."


def report(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Measure everything; the lines of a Markdown report."""
    bundle = open_bundle(arguments.bundle)
    files = FORMATS[arguments.format](some_slices(arguments.data, arguments.slices), folder)
    with ProcessPoolExecutor(processors(), get_context("spawn"), _load, (arguments.bundle,)) as pool:
        contenders = contenders_on(files, bundle, pool)
        rates = slices_per_second(contenders, arguments.rounds)
    single = latencies([each for each in contenders if PROCESSES not in each.name], arguments.repeats)
    words = ["predict", str(files[0]), "--out", str(folder / "out")]
    words += ["--bundle", str(arguments.bundle)] if arguments.bundle else []
    repeats = arguments.repeats // 3
    lines = [
        f"{len(files)} real slices ({arguments.format}), {arguments.rounds} rounds, {processors()} cores.",
        "",
        *table(rates, single),
        "",
        in_use(rates, arguments.again, arguments.mirrored),
        in_use(rates, arguments.again, arguments.mirrored, PROCESSES),
        "",
        floor(bundle),
        "",
        f"`tumorlens predict` {from_cold('tumorlens', words, repeats)}",
    ]
    if OTHER in rates and Path(sys.executable).with_name("detect-tumor").exists():
        lines.append(f"`detect-tumor` {from_cold('detect-tumor', [str(files[0])], repeats)}")
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*lines, f"This benchmark's own process, PyTorch included: {mine:.0f} MB."]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with .mat slices")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--again", type=float, default=AGAIN, help="share of unseen slices looked at again")
    parser.add_argument(
        "--mirrored", type=float, default=MIRRORED, help="share of them also looked at mirrored"
    )
    parser.add_argument("--slices", type=int, default=64)
    parser.add_argument("--format", choices=FORMATS, default="png", help="of the files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=30, help="of a single slice")
    parser.add_argument("--markdown", type=Path, help="also write the report here")
    arguments = parser.parse_args()
    torch.set_num_threads(processors())
    with tempfile.TemporaryDirectory() as folder:
        text = "\n".join(report(arguments, Path(folder)))
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n")


if __name__ == "__main__":
    main()
