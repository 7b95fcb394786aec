"""The preview shows what training sees, phase by phase."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.train.tiny import tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.train import preview


def test_each_phase_has_its_share_of_the_draws(tiny: TumorDataset, tmp_path: Path) -> None:
    turned = "augmentation: {probability: 1, rotation: 40}"
    phases = f"[{{epochs: 1, learning_rate: 1.0e-3}}, {{epochs: 1, learning_rate: 1.0e-3, {turned}}}]"
    recipe = tiny_recipe("augmentation.probability=0", f"training.phases={phases}")
    preview.draw_preview(recipe, tiny, tmp_path / "preview.png")
    sheet = np.asarray(Image.open(tmp_path / "preview.png"))
    gap, tile = preview._GAP, preview._TILE
    lefts = [gap, *(3 * gap + column * (tile + gap) for column in range(1, 7))]
    first, *draws = (sheet[preview._TITLE :, left : left + tile] for left in lefts)
    assert [bool((draw == first).all()) for draw in draws] == [True] * 3 + [False] * 3
