"""Training's own overhead: slices per second of a real epoch against a bare loop on random tensors.

    python benchmarks/training_overhead.py --data DIR [--recipe lite-segmentation] [--slices 320]

Both run in one process, one after the other in several rounds, with the same network, optimizer, batch size
and memory layout. The bare loop does forward, backward and step on one batch of random tensors; the epoch is
`tumorlens train`'s: its data loader, augmentation, metrics and Lightning's loop. Validation isn't counted.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from tumorlens.dataset import open_dataset
from tumorlens.train.datamodule import Batch
from tumorlens.train.recipe import Recipe
from tumorlens.train.recipe_file import load_recipe
from tumorlens.train.split import Split, make_split
from tumorlens.train.trainer import make_module, train


def bare_loop(recipe: Recipe, steps: int) -> float:
    """Slices per second of forward, backward and step, with nothing else around."""
    module = make_module(recipe, None, steps)
    network = module.network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    size, n = recipe.size, recipe.training.batch_size
    mask = torch.rand(n, 1, size, size) > 0.9
    natural = torch.ones(n, dtype=torch.bool)
    batch = Batch(torch.rand(n, 1, size, size), mask, torch.randint(0, 3, (n,)), natural)
    for step in range(steps + 2):
        if step == 2:
            began = time.perf_counter()
        loss, _ = module.loss_and_score(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return n * steps / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--recipe", default="lite-segmentation")
    parser.add_argument("--slices", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()

    phase = "training.phases=[{epochs: 2, learning_rate: 1.0e-4}]"
    recipe = load_recipe(arguments.recipe, [phase, "model.weights=none", *arguments.overrides])
    dataset = open_dataset(arguments.data, arguments.cache)
    whole = make_split(dataset, recipe.split)
    n = recipe.training.batch_size
    split = Split(whole.train[: arguments.slices // n * n], whole.validation[:n], whole.test[:n])
    ratios = []
    for _ in range(arguments.rounds):
        bare = bare_loop(recipe, len(split.train) // n)
        with tempfile.TemporaryDirectory() as folder:
            run = train(recipe, dataset, Path(folder) / "run", split=split, report=lambda _: None)
            epoch = float(run.history()["train_slices_per_second"].iloc[-1])
        ratios.append(epoch / bare)
        print(
            f"{recipe.name}: epoch {epoch:.1f}, bare loop {bare:.1f} slices/s, ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(f"{recipe.name}: median ratio {statistics.median(ratios):.3f} of {arguments.rounds} rounds")


if __name__ == "__main__":
    main()
