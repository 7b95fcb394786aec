"""What 8 bits lose, on slices that a network has never seen.

    python benchmarks/eight_bits.py RUN --data DIR [--fold 4] [--emulate 60]

A run that was tested on the fold is exported in 32 bits and in 8; both are measured as `tumorlens evaluate`
measures a bundle: through the Analyzer, outlines in the slices' own pixels. Intervals come from a bootstrap
over patients. The ranges of the 8 bits come from the run's training slices.

``--emulate N`` also asks the 8-bit graph about N of the slices on an emulated processor without instructions
for 8-bit sums (qemu's Haswell; Debian package qemu-user), where such sums may saturate.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pandas as pd

from tumorlens.bundle import Bundle, open_bundle
from tumorlens.bundle.manifest import Precision
from tumorlens.bundle.write import member, write_bundle
from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.dataset.prepared import prepare_dataset
from tumorlens.evaluate.bootstrap import PatientBootstrap
from tumorlens.evaluate.bundle import evaluate_bundle
from tumorlens.judgement import Judgement
from tumorlens.preprocess import prepare_image
from tumorlens.scan import read_scan
from tumorlens.train.export import export_runs
from tumorlens.train.onnx_graph import in_8_bits
from tumorlens.train.run import Run
from tumorlens.train.split import Side

_ASK = """
import sys
import numpy as np
from tumorlens.bundle import open_bundle
ensemble = open_bundle(sys.argv[1]).load()
[size] = ensemble.sizes
opinions = [ensemble({size: image[None]}) for image in np.load(sys.argv[2])]
np.savez(
    sys.argv[3],
    pixels=np.concatenate([opinion.tumor_probability for opinion in opinions]),
    logits=np.concatenate([opinion.class_logits for opinion in opinions]),
)
"""


def measured(bundle: Bundle, dataset: TumorDataset, fold: int, out: Path) -> pd.DataFrame:
    """A row a slice: its Dice, and whether its type was named rightly."""
    evaluate_bundle(bundle, dataset, out, [fold])
    outlines = pd.read_csv(out / "segmentation" / "slices.csv")
    names = pd.read_csv(out / "classification" / "slices.csv")
    rows = outlines.merge(names[["file", "predicted", "correct"]], on="file", validate="one_to_one")
    return rows.assign(right=rows["correct"].astype(float))


def in_eight_bits(exact: Bundle, run: Run, dataset: TumorDataset, out: Path) -> Bundle:
    """The same bundle with its graph in 8 bits, whatever it loses: `tumorlens export` would refuse a loss."""
    [graph] = exact.manifest.graphs
    images = prepare_dataset(dataset, run.recipe.size).images
    positions = run.split.positions(dataset, Side.TRAIN)
    chosen = np.linspace(0, len(positions) - 1, 128).round().astype(int)
    model = in_8_bits(
        onnx.load_from_string(exact.read(graph)), (np.asarray(images[positions[index]]) for index in chosen)
    )
    data = model.SerializeToString()
    small = graph.model_copy(update={**member(graph.file, data).model_dump(), "precision": Precision.INT8})
    files = {each.file: exact.read(each) for each in exact.manifest.members} | {graph.file: data}
    return write_bundle(out, exact.manifest.model_copy(update={"graphs": (small,)}), files)


def report(exact: pd.DataFrame, small: pd.DataFrame) -> None:
    """Print both and their differences."""
    assert (exact["file"] == small["file"]).all()
    bootstrap = PatientBootstrap(exact["patient"].tolist())
    print(f"{len(exact)} slices of {exact['patient'].nunique()} patients\n")
    print("| | 32 bits | 8 bits | lost |\n| --- | --- | --- | --- |")
    for name, column in (("Dice", "dice"), ("accuracy", "right")):
        parts = (exact[column], small[column], exact[column] - small[column])
        whole, eight, lost = (bootstrap.mean(part.to_numpy()) for part in parts)
        print(f"| {name} | {whole} | {eight} | {lost:+.4f} |")
    same = (exact["predicted"] == small["predicted"]).mean()
    print(f"\nthe same types: {same:.2%}")


def emulate(bundle: Path, files: list[Path], folder: Path) -> None:
    """Print how an emulated processor's answers differ from this one's."""
    qemu = shutil.which("qemu-x86_64")
    if qemu is None:
        raise SystemExit("--emulate needs qemu-x86_64: apt-get install qemu-user")
    size = open_bundle(bundle).manifest.size
    np.save(
        folder / "images.npy", np.stack([prepare_image(read_scan(p).pixels[0], size)[None] for p in files])
    )
    told = {}
    for name, before in (("here", []), ("emulated", [qemu, "-cpu", "Haswell-noTSX"])):
        words = [*before, sys.executable, "-c", _ASK, bundle, folder / "images.npy", folder / f"{name}.npz"]
        subprocess.run(list(map(str, words)), check=True, stderr=subprocess.DEVNULL)  # noqa: S603
        told[name] = np.load(folder / f"{name}.npz")
    here, there = told["here"], told["emulated"]
    types = [Judgement().probabilities(each["logits"]) for each in (here, there)]
    masks = [each["pixels"] >= 0.5 for each in (here, there)]
    both, sizes = (masks[0] & masks[1]).sum((1, 2)), sum(mask.sum((1, 2)) for mask in masks)
    dice = np.where(sizes == 0, 1.0, 2 * both / np.maximum(sizes, 1))
    print(
        f"\nwithout instructions for 8-bit sums (emulated), on {len(files)} slices: the same types "
        f"{(types[0].argmax(1) == types[1].argmax(1)).mean():.1%}, their probabilities within "
        f"{np.abs(types[0] - types[1]).max():.4f}; Dice of the outlines with those of this processor "
        f"{dice.mean():.4f} on average, at least {dice.min():.3f}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="a run of the joint network that was tested on the fold")
    parser.add_argument("--data", type=Path, required=True, help="folder with .mat slices")
    parser.add_argument("--fold", type=int, default=4)
    parser.add_argument("--emulate", type=int, default=0, help="slices asked on an emulated processor")
    arguments = parser.parse_args()
    dataset, run = open_dataset(arguments.data), Run(arguments.run)
    trained = [dataset.entries[position].fold for position in run.split.positions(dataset, Side.TRAIN)]
    if arguments.fold in trained:
        raise SystemExit(f"{run.folder}: expected a run that didn't train on fold {arguments.fold}")
    with tempfile.TemporaryDirectory() as temporary:
        folder, rows = Path(temporary), {}
        bundles = {
            Precision.FP32: export_runs(
                [run], dataset, folder / "exact", name="bundle", report=lambda _: None
            )
        }
        bundles[Precision.INT8] = in_eight_bits(bundles[Precision.FP32], run, dataset, folder / "small")
        for precision, bundle in bundles.items():
            rows[precision] = measured(bundle, dataset, arguments.fold, folder / f"measured-{precision}")
        report(rows[Precision.FP32], rows[Precision.INT8])
        if arguments.emulate:
            files = [dataset.root / name for name in rows[Precision.FP32]["file"]]
            step = max(len(files) // arguments.emulate, 1)
            emulate(folder / "small", files[::step][: arguments.emulate], folder)


if __name__ == "__main__":
    main()
