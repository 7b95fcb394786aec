"""A dataset and recipes so small that a run takes a second."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.conftest import slice_file
from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.train.recipe import Recipe
from tumorlens.train.recipe_file import load_recipe

SIZE = 64
PATIENTS = 12
SLICES_EACH = 2
FAST = (
    "model.encoder=test_resnet",
    "training.workers=0",
    "training.phases.0.learning_rate=3e-3",
)
JOINT = """
task: joint
size: 64
analysis: {flip: true, center_crop: 0.8, lowest_threshold: 0.2}
split: {kind: patients, validation: 0.25, test: 0.25}
model: {encoder: test_resnet, weights: none, decoder_channels: [32, 16, 8], context_layers: 1}
training: {phases: [{epochs: 4, learning_rate: 0.003}], batch_size: 6, workers: 0}
"""


def write_tiny_folder(folder: Path) -> Path:
    """Twelve patients, four of each type, two slices each: a bright disc on noise, its size by type."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for number in range(PATIENTS * SLICES_EACH):
        patient, label = number // SLICES_EACH, 1 + (number // SLICES_EACH) % 3
        row, column = generator.integers(16, 48, 2)
        mask = np.hypot(rows - row, columns - column) < 3 + 3 * label
        image = (generator.uniform(0, 200, (SIZE, SIZE)) + 500 * mask).astype(np.int16)
        slice_file(folder / f"{number + 1}.mat", image, mask, label, f"patient {patient}")
    return folder


def open_tiny(folder: Path) -> TumorDataset:
    folder.mkdir(parents=True, exist_ok=True)
    return open_dataset(write_tiny_folder(folder))


def tiny_recipe(*overrides: str, task: str = "segmentation") -> Recipe:
    name = "smoke" if task == "segmentation" else "smoke-classification"
    return load_recipe(name, [*FAST, *overrides])


def joint_recipe(folder: Path, *overrides: str) -> Recipe:
    path = folder / "joint.yaml"
    path.write_text(JOINT)
    return load_recipe(str(path), overrides)


def killed_after(epochs: int) -> Callable[[str], None]:
    """What a run reports to that is killed once so many of its epochs are over."""
    lines = 0

    def die(line: str) -> None:
        nonlocal lines
        lines += line.startswith("epoch")
        if lines == epochs:
            raise RuntimeError("killed")

    return die
