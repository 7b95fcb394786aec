"""How fast and how large a long DICOM series is, from files to findings.

    python benchmarks/stack.py [--slices 1000] [--size 512] [--rounds 3]

A series is made of the twelve real slices in tests/data, repeated in turn, scaled to ``--size`` and written
as single-frame DICOM files. In one run, round after round:

- the whole way: `read_scan` on the folder, `Analyzer.analyze`, and the JSON written;
- the model's own rate: the same slices, prepared before the clock starts, through the same networks with the
  same second looks, on all cores.

Both twice: with as many slices looked at again as of slices never seen (see `looks.py`), and with hardly any,
as the networks trained on these slices. The ratios of the two rates' medians are printed. Peak memory is
measured by `tumorlens predict` in a process of its own, for the whole series and for half of it.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from looks import with_shares
from memory import peak_of
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import generate_uid
from real_slices import write_slice

from tumorlens import Analyzer, read_scan
from tumorlens.bundle import open_bundle
from tumorlens.ensemble import Batch, Ensemble
from tumorlens.parallel import in_order
from tumorlens.preprocess import prepare_image

SLICES = Path(__file__).parents[1] / "tests" / "data" / "slices"
BATCH = 4  # as the Analyzer's


def scaled_slices(size: int) -> list[NDArray[np.int16]]:
    """The real slices at (size, size)."""
    found = []
    for path in sorted(SLICES.glob("[0-9]*.mat")):
        picture = Image.fromarray(read_scan(path).pixels[0].astype(np.float32))
        found.append(np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR)).astype(np.int16))
    return found


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    real = scaled_slices(arguments.size)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, count in (("whole", arguments.slices), ("half", arguments.slices // 2)):
            (folder / name).mkdir()
            uids = (generate_uid(), generate_uid())
            for index in range(count):
                write_slice(folder / name / f"{index:05d}.dcm", real[index % len(real)], index, uids)
        measure(folder, arguments.slices, arguments.rounds, real)
        for name in ("half", "whole"):
            words = ["predict", str(folder / name), "--out", str(folder / f"out-{name}")]
            print(f"peak memory, {name} series: {1000 * peak_of(words):.0f} MB")


def measure(folder: Path, count: int, rounds: int, real: list[NDArray[np.int16]]) -> None:
    """Print the rates and their ratio."""
    bundle = open_bundle()
    size = bundle.manifest.size
    prepared = [prepare_image(pixels, size)[None] for pixels in real]
    inputs = [prepared[index % len(real)] for index in range(count)]
    batches = [{size: np.stack(inputs[at : at + BATCH])} for at in range(0, count, BATCH)]
    kinds = {
        "as many looked at again as of slices never seen": with_shares(
            bundle, [image[None] for image in prepared]
        ),
        "slices trained on": bundle.load(),
    }
    for kind, ensemble in kinds.items():
        rates = _rates(ensemble, batches, folder, count, rounds)
        print(
            f"{count} slices, {kind}: the model alone {rates[0]:.1f}/s, files to finding {rates[1]:.1f}/s, "
            f"ratio {rates[1] / rates[0]:.2f}, medians of {rounds} rounds"
        )


def _rates(
    ensemble: Ensemble, batches: list[dict[int, Batch]], folder: Path, count: int, rounds: int
) -> tuple[float, float]:
    """Slices a second of the model alone and of the whole way."""
    analyzer = Analyzer(ensemble)
    whole, own = [], []
    for _ in range(rounds):
        own.append(timed(lambda: list(in_order(ensemble, batches))))
        whole.append(
            timed(lambda: analyzer.analyze(read_scan(folder / "whole")).write(folder / "out", ["json"]))
        )
    return count / statistics.median(own), count / statistics.median(whole)


if __name__ == "__main__":
    main()
