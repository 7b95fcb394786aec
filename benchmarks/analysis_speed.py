"""How fast a bundle is, side by side with the paper's pair and with another public tool, in one run.

    python benchmarks/analysis_speed.py --data DIR [--bundle DIR] [--share 0.36] [--slices 64] [--rounds 3]
        [--markdown FILE]

Everything is timed from file to finding on the same real slices, in turns, round after round, so that a
machine's moods hit all alike; medians are printed and their ratios.

- tumorlens: `read_scan` and `Analyzer` with the bundle (the one that comes along, by default), on all cores.
  A bundle that looks again where it is unsure is surer of slices that it was trained on than of others, and
  so faster. It is therefore timed with no slice looked at again and with every slice, and the rate for the
  ``--share`` that is looked at again on slices never seen is worked out from both.
- the paper's pair: attention U-Net and classifier, both ResNet-50, in eager PyTorch on all cores with the
  same reading, preprocessing and way back, in batches of 16 and one by one; the faster of the two is what
  ours is compared with. Its weights are random, which changes nothing about its time.
- detect-tumor (PyPI; VGG16 on ONNX Runtime, types only), if installed: its own `predict` on PNG files.
- the floor: multiplications and additions of the bundle's first graph, one look, over the rate of a large
  matrix product.

`tumorlens predict` is also timed as a command, from cold process to written files, with its peak memory.
"""

import argparse
import dataclasses
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image

from tumorlens import Scan, read_scan
from tumorlens.analyze import Analyzer
from tumorlens.bundle import Bundle, open_bundle
from tumorlens.judgement import SecondLook
from tumorlens.model import AttentionUNet, TumorClassifier
from tumorlens.parallel import in_order
from tumorlens.preprocess import prepare_image, restore_map, to_unit_range

BATCH = 16
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
    """File to finding, as `tumorlens predict` goes about it; how many findings there were."""

    def run(files: Sequence[Path]) -> int:
        return sum(1 for _ in in_order(lambda path: analyzer.analyze(read_scan(path)), files))

    return run


def looking_again(bundle: Bundle, *, always: bool) -> Analyzer:
    """The bundle's analyzer, with every slice looked at again, or none."""
    never = SecondLook(below_dice=0, below_probability=0)
    ensemble = bundle.load()
    judgement = ensemble.judgement.model_copy(update={"second_look": None if always else never})
    return Analyzer(dataclasses.replace(ensemble, judgement=judgement))


def detect_tumor() -> Findings | None:
    """The other tool, one file after the other, which is all that it offers."""
    if importlib.util.find_spec("detect_tumor") is None:
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
    """Multiplications and additions of the first graph's convolutions and matrix products, for one look."""
    total = 0
    for graph in bundle.manifest.graphs[:1]:
        model = onnx.shape_inference.infer_shapes(onnx.load_from_string(bundle.read(graph)), data_prop=True)
        shapes = {
            value.name: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
            for value in [*model.graph.value_info, *model.graph.output]
        }
        weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
        for cast in (node for node in model.graph.node if node.op_type in ("Cast", "DequantizeLinear")):
            if cast.input[0] in weights:
                weights[cast.output[0]] = weights[cast.input[0]]
        for node in model.graph.node:
            given = shapes.get(node.output[0])
            if given is None:
                continue
            if node.op_type == "Conv":
                total += 2 * int(np.prod(given)) * int(np.prod(weights[node.input[1]][1:]))
            elif node.op_type in ("MatMul", "Gemm"):
                inner = shapes.get(node.input[0], weights.get(node.input[0], [1]))[-1]
                total += 2 * int(np.prod(given)) * inner
    return total


def matrix_rate(side: int = 2048, repeats: int = 5) -> float:
    """Multiplications and additions a second of a product of two square matrices of 32-bit numbers."""
    a, b = (np.random.default_rng(seed).random((side, side), np.float32) for seed in (0, 1))
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - began)
    return 2 * side**3 / min(times)


def _pngs(files: Sequence[Path], folder: Path) -> list[Path]:
    copies = []
    for file in files:
        scan: Scan = read_scan(file)
        copies.append(folder / f"{file.stem}.png")
        Image.fromarray((to_unit_range(scan.pixels[0]) * 255).astype(np.uint8)).save(copies[-1])
    return copies


def report(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Measure everything; the lines of a Markdown report."""
    bundle = open_bundle(arguments.bundle)
    candidates = sorted(path for path in arguments.data.glob("*.mat") if path.stem.isdigit())
    chosen = np.linspace(0, len(candidates) - 1, min(arguments.slices, len(candidates))).round().astype(int)
    mats = [candidates[index] for index in chosen]
    pngs = _pngs(mats, folder)
    pair = PaperPair()
    once, again, batches, singly = (
        "tumorlens, one look",
        "tumorlens, every slice looked at again",
        "the paper's pair, eager PyTorch, batches of 16",
        "the paper's pair, one by one",
    )
    contenders = [
        Contender(once, on_all_cores(looking_again(bundle, always=False)), pngs),
        Contender(again, on_all_cores(looking_again(bundle, always=True)), pngs),
        Contender(batches, lambda files: pair(files, BATCH), pngs),
        Contender(singly, lambda files: pair(files, 1), pngs),
    ]
    other = detect_tumor()
    if other is not None:
        contenders.append(Contender("detect-tumor (types only)", other, pngs))
    rates = slices_per_second(contenders, arguments.rounds)
    single = latencies(contenders, arguments.repeats)
    best, share = max(rates[batches], rates[singly]), arguments.share
    mixed = 1 / ((1 - share) / rates[once] + share / rates[again])
    lines = [
        f"{len(mats)} real slices as PNG, {arguments.rounds} rounds, {len(os.sched_getaffinity(0))} cores.",
        "",
        "| | slices/s | against the pair | one slice, median | 95th percentile (ms) | against the pair |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {rates[name]:.1f} | {rates[name] / best:.1f} × | {single[name][0]:.1f} | "
        f"{single[name][1]:.1f} | 1/{single[singly][0] / single[name][0]:.1f} |"
        for name in rates
    ]
    lines += [
        "",
        (
            f"With {share:.0%} of the slices looked at again, tumorlens analyses {mixed:.1f} slices a "
            f"second: {mixed / best:.1f} times the pair at its faster, {mixed / rates[batches]:.1f} times "
            "the pair in batches of 16."
        ),
    ]
    work, rate = operations(bundle), matrix_rate()
    lines += [
        "",
        (
            f"The floor of one look: {work / 1e9:.2f} billion operations a slice over {rate / 1e9:.0f} "
            f"billion a second (product of 2048 × 2048 matrices, 32 bits) = {1000 * work / rate:.1f} ms, "
            f"{rate / work:.0f} slices/s."
        ),
        "",
    ]
    executable = str(Path(sys.executable).with_name("tumorlens"))
    command = [executable, "predict", str(pngs[0]), "--out", str(folder / "out")]
    if arguments.bundle:
        command += ["--bundle", str(arguments.bundle)]
    seconds, peak = cold_start(command, arguments.repeats // 3)
    lines.append(f"`tumorlens predict one.png` from cold: {seconds:.2f} s (median), at most {peak:.0f} MB.")
    if other is not None:
        command = [str(Path(sys.executable).with_name("detect-tumor")), str(pngs[0])]
        seconds, peak = cold_start(command, arguments.repeats // 3)
        lines.append(f"`detect-tumor one.png` from cold: {seconds:.2f} s (median), at most {peak:.0f} MB.")
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*lines, f"This benchmark's own process, PyTorch included: {mine:.0f} MB."]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with .mat slices")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--share", type=float, default=0.36, help="of unseen slices, looked at again")
    parser.add_argument("--slices", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=30, help="of a single slice")
    parser.add_argument("--markdown", type=Path, help="also write the report here")
    arguments = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as folder:
        text = "\n".join(report(arguments, Path(folder)))
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n")


if __name__ == "__main__":
    main()
