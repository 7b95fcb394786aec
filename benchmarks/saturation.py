"""What saturated sums change on a processor without instructions for 8-bit sums, and what exact ones cost.

    python benchmarks/saturation.py --data DIR [--every 1] [--rounds 30]

x86 processors with AVX2 but no VNNI (Intel's before about 2019, AMD's before Zen 4) add two products of
8 bits in 16 bits, which the largest exceed. ONNX Runtime can widen them first
(``session.x64quantprecision``). Prints how far the bundle so and so agree, as `two_bundles.py` does, and the
times of a look, also with its sums in 32 bits: one thread, four slices, in turns. On other processors exact
sums are the usual ones.
"""

import argparse
import dataclasses
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime
from two_bundles import rows, told_in_words

from tumorlens.analyze import Analyzer
from tumorlens.bundle import Bundle, open_bundle
from tumorlens.dataset import open_dataset
from tumorlens.ensemble import Batch, Ensemble, Outputs

_TOGETHER = 4  # slices, as the Analyzer's
_USUAL: dict[str, str] = {}
_EXACT = {"session.x64quantprecision": "1"}
_FLOATING = {"session.disable_quant_qdq": "1"}


class OneThread:
    """A graph on one thread, with entries of ONNX Runtime's configuration."""

    def __init__(self, data: bytes, size: int, entries: dict[str, str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        for key, value in entries.items():
            options.add_session_config_entry(key, value)
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]
        self.size = size

    def __call__(self, batch: Batch) -> Outputs:
        """Run on a batch (n, 1, size, size) in [0, 1]."""
        given = self._session.run(self._names, {"image": batch})
        return Outputs(**dict(zip(self._names, given, strict=True)))


def ensemble_of(bundle: Bundle, entries: dict[str, str]) -> Ensemble:
    """The bundle's networks with entries of the configuration."""
    size = bundle.manifest.size
    models = [OneThread(bundle.read(graph), size, entries) for graph in bundle.manifest.graphs]
    return dataclasses.replace(bundle.load(), models=models)


def times(ensembles: list[Ensemble], rounds: int) -> list[float]:
    """Median milliseconds a slice of the first network's look."""
    [size] = ensembles[0].sizes
    batch = np.random.default_rng(0).random((_TOGETHER, 1, size, size), np.float32)
    taken: list[list[float]] = [[] for _ in ensembles]
    for _ in range(rounds):
        for ensemble, each in zip(ensembles, taken, strict=True):
            began = time.perf_counter()
            ensemble.models[0](batch)
            each.append(1000 * (time.perf_counter() - began) / _TOGETHER)
    return [statistics.median(each) for each in taken]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with .mat slices")
    parser.add_argument("--every", type=int, default=1, help="look at every Nth slice")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    bundle, dataset = open_bundle(), open_dataset(arguments.data)
    ensembles = [ensemble_of(bundle, entries) for entries in (_USUAL, _EXACT, _FLOATING)]
    usual, exact, floating = times(ensembles, arguments.rounds)
    print(f"a look: {usual:.1f} ms a slice, with exact sums {exact:.1f} ms, in 32 bits {floating:.1f} ms")
    analyzers = [Analyzer(each) for each in ensembles[:2]]
    told = rows(analyzers, dataset, range(0, len(dataset), arguments.every))
    print(told_in_words(told))


if __name__ == "__main__":
    main()
