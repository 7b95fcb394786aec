"""What a look takes by each form of a run's graph: in 32 and in 8 bits, as exported and streamlined.

    python benchmarks/graph_time.py RUN --data DIR [--rounds 200] [--batch 4]

One thread, all forms in turns and in another order each round, so that a machine's moods hit all alike; each
form's ratio to the first is the median over rounds. The 8 bits' ranges come from the run's training slices.
"""

import argparse
import time
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from tumorlens.dataset import open_dataset
from tumorlens.dataset.prepared import prepare_dataset
from tumorlens.train import onnx_graph
from tumorlens.train.onnx_graph import in_8_bits, to_onnx
from tumorlens.train.run import Run
from tumorlens.train.split import Side

_RANGES_FROM = 77  # training slices


def forms(run: Run, images: NDArray[np.float32]) -> dict[str, onnx.ModelProto]:
    """The run's graph in each form, by its name."""
    made = {}
    for words, streamlined in (("as exported", lambda model: model), ("streamlined", onnx_graph.streamlined)):
        with mock.patch.object(onnx_graph, "streamlined", streamlined):
            exact = to_onnx(run.load_network(), run.recipe.task, run.recipe.size)
            made[f"32 bits, {words}"] = exact
            made[f"8 bits, {words}"] = in_8_bits(exact, iter(images))
    return made


def seconds(
    graphs: dict[str, onnx.ModelProto], batch: NDArray[np.float32], rounds: int
) -> NDArray[np.float64]:
    """(rounds, graphs): what each takes for a slice; each has run once before."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for model in graphs.values()
    ]
    taken = np.zeros((rounds + 1, len(sessions)))
    random = np.random.default_rng(0)
    for row in taken:
        for place in random.permutation(len(sessions)):
            began = time.perf_counter()
            sessions[place].run(None, {"image": batch})
            row[place] = (time.perf_counter() - began) / len(batch)
    return taken[1:]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder with .mat slices")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--batch", type=int, default=4, help="slices at a time")
    arguments = parser.parse_args()
    run, dataset = Run(arguments.run), open_dataset(arguments.data)
    images = prepare_dataset(dataset, run.recipe.size).images
    positions = run.split.positions(dataset, Side.TRAIN)
    chosen = np.linspace(0, len(positions) - 1, _RANGES_FROM).round().astype(int)
    given = np.stack([np.asarray(images[positions[index]]) for index in chosen])
    graphs = forms(run, given)
    taken = seconds(graphs, given[: arguments.batch, None], arguments.rounds)
    ratios = np.median(taken / taken[:, :1], axis=0)
    print(f"{arguments.batch} slices at a time, one thread, {arguments.rounds} rounds\n")
    print("| | ms a slice, median | of the first |\n| --- | --- | --- |")
    for name, median, ratio in zip(graphs, np.median(taken, axis=0) * 1e3, ratios, strict=True):
        print(f"| {name} | {median:.1f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
