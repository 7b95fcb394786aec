"""Slices a second of one training step of the joint network: one process on all cores, or one on each.

    python benchmarks/training_step.py [--sizes 224 192] [--steps 12]

A step is forward, backward and AdamW on a batch of 16 random slices, in bfloat16 but for the depthwise
convolutions, as `lite-joint` trains. Several processes at once each have a thread of their own; what they do
together is printed.
"""

import argparse
import multiprocessing
import time
from multiprocessing.synchronize import Barrier

import torch

from tumorlens.parallel import processors
from tumorlens.train.datamodule import Batch
from tumorlens.train.precision import keep_depthwise_in_32_bits
from tumorlens.train.recipe_file import load_recipe
from tumorlens.train.trainer import make_module

BATCH = 16
WARM_UP = 3


def rate(threads: int, size: int, steps: int, together: Barrier | None = None) -> float:
    """Slices a second of this process."""
    torch.set_num_threads(threads)
    recipe = load_recipe("lite-joint", ["model.weights=none", f"size={size}", "training.smaller_first=[]"])
    module = make_module(recipe, None, steps)
    keep_depthwise_in_32_bits(module.network)
    optimizer = torch.optim.AdamW(module.parameters(), 1e-3)
    batch = Batch(
        torch.rand(BATCH, 1, size, size),
        torch.rand(BATCH, 1, size, size) > 0.9,
        torch.randint(0, 3, (BATCH,)),
        torch.ones(BATCH, dtype=torch.bool),
    )
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            if together is not None:
                together.wait()
            began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            loss, _ = module.loss_and_score(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return BATCH * steps / (time.perf_counter() - began)


def _into(results: "multiprocessing.Queue[float]", size: int, steps: int, together: Barrier) -> None:
    results.put(rate(1, size, steps, together))


def rate_of_several(size: int, steps: int) -> float:
    """Slices a second of one process a core together, one thread each."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[float] = context.Queue()
    together = context.Barrier(processors())
    workers = [
        context.Process(target=_into, args=(results, size, steps, together)) for _ in range(processors())
    ]
    for worker in workers:
        worker.start()
    total = sum(results.get() for _ in workers)
    for worker in workers:
        worker.join()
    return total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 192])
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args()
    cores = processors()
    print(
        f"| size | one process, {cores} threads | {cores} processes, one thread each |\n| --- | --- | --- |"
    )
    for size in arguments.sizes:
        alone, several = rate(cores, size, arguments.steps), rate_of_several(size, arguments.steps)
        print(f"| {size} | {alone:.1f} | {several:.1f} |", flush=True)


if __name__ == "__main__":
    main()
