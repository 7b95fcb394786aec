"""What a recipe's augmentation does to slices, as one picture."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tumorlens import atomic
from tumorlens.dataset import TumorDataset
from tumorlens.dataset.prepared import prepare_dataset
from tumorlens.finding.picture import overlay_picture
from tumorlens.preprocess import prepare_image, prepare_mask
from tumorlens.train.changes import Changes
from tumorlens.train.recipe import Recipe
from tumorlens.train.transplant import Donors

_SLICES = 6
_DRAWS = 6
_TILE = 224
_GAP = 6
_TITLE = 32


def draw_preview(recipe: Recipe, dataset: TumorDataset, path: Path) -> None:
    """Draw a row for each of some slices: as it is, then augmented several times, always with its outline.

    Where training has several phases, each has its share of the draws, the first on the left.

    Raises:
        OSError: The picture can't be written.
    """
    chosen = np.linspace(0, len(dataset) - 1, min(_SLICES, len(dataset))).round().astype(int)
    phases = _changes(recipe, dataset)
    rows = [_row(dataset, int(position), recipe, phases) for position in chosen]
    step = _TILE + _GAP
    sheet = Image.new("RGB", ((1 + _DRAWS) * step + 3 * _GAP, _TITLE + len(rows) * step), "white")
    lefts = [_GAP] + [3 * _GAP + column * step for column in range(1, 1 + _DRAWS)]
    for left, title in zip(lefts, ("as it is", "augmented"), strict=False):
        ImageDraw.Draw(sheet).text((left, 4), title, fill="black", font=ImageFont.load_default(18))
    for row, tiles in enumerate(rows):
        for left, tile in zip(lefts, tiles, strict=True):
            sheet.paste(tile, (left, _TITLE + row * step))
    with atomic.replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def _changes(recipe: Recipe, dataset: TumorDataset) -> list[Changes]:
    """Of each phase; with lesions of other slices, which takes all slices, only where one wants them."""
    slices = donors = None
    if recipe.has_transplants:
        slices = prepare_dataset(dataset, recipe.size)
        donors = Donors.among(dataset, slices, range(len(dataset)))
    return [Changes(augmentation, recipe.size, slices, donors) for augmentation in recipe.augmentations]


def _row(dataset: TumorDataset, position: int, recipe: Recipe, phases: list[Changes]) -> list[Image.Image]:
    image = torch.tensor(prepare_image(dataset.image(position), recipe.size)).unsqueeze(0)
    mask = torch.tensor(prepare_mask(dataset.mask(position), recipe.size)).unsqueeze(0)
    drawn = [(image, mask)]
    for draw in range(_DRAWS):
        seed = recipe.training.seed + draw + _DRAWS * position
        changes = phases[draw * len(phases) // _DRAWS]
        drawn.append(changes(image, mask, position, seed)[:2])
    return [_tile(picture[0].numpy(), outline[0].numpy()) for picture, outline in drawn]


def _tile(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> Image.Image:
    return overlay_picture(image, mask).resize((_TILE, _TILE), Image.Resampling.BILINEAR)
