"""What a dataset holds: its table of classes, and a picture of some of its slices."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tumorlens.atomic import replacing
from tumorlens.dataset.cache import SliceEntry, TumorDataset
from tumorlens.finding.picture import overlay_picture
from tumorlens.preprocess import prepare_image, prepare_mask
from tumorlens.tumor_type import TumorType

_TILE = 256
_GAP = 8
_TITLE_HEIGHT = 36
_CAPTION_HEIGHT = 24
_TITLE_SIZE = 20
_CAPTION_SIZE = 14
_PAPER = (255, 255, 255)
_INK = (0, 0, 0)


@dataclass(frozen=True)
class ClassRow:
    """One class of `Table1`.

    Attributes:
        label: The tumor type.
        slices: How many slices show it.
        percent: Share of all slices, 0 to 100.
        patients: Distinct PIDs among them.
    """

    label: TumorType
    slices: int
    percent: float
    patients: int


@dataclass(frozen=True)
class Table1:
    """Slices and patients by class, as a paper's first table shows them.

    Attributes:
        rows: One for each class, in the order of the labels.
        slices: All slices.
        patients: All patients, each counted once even where two classes name them.
    """

    rows: tuple[ClassRow, ...]
    slices: int
    patients: int

    def to_markdown(self) -> str:
        """The table in Markdown, with a line of totals."""
        lines = ["| Class | Slices | Percent | Patients |", "| --- | ---: | ---: | ---: |"]
        lines += [
            f"| {row.label.title} | {row.slices} | {row.percent:.1f} | {row.patients} |" for row in self.rows
        ]
        whole = 100.0 if self.slices else 0.0
        lines.append(f"| total | {self.slices} | {whole:.1f} | {self.patients} |")
        return "\n".join(lines) + "\n"


def statistics(dataset: TumorDataset) -> Table1:
    """Count a dataset's slices and patients by class; no pixel is read."""
    return Table1(
        rows=tuple(_row(label, dataset.entries) for label in TumorType),
        slices=len(dataset),
        patients=len({entry.patient for entry in dataset.entries}),
    )


def sample_picture(dataset: TumorDataset, path: Path, per_class: int = 6, seed: int = 0) -> None:
    """Draw some slices of each class with the expert's outline, as one PNG.

    A row shows a class; its slices are drawn at random, of different patients as far as there are enough.

    Args:
        dataset: Where the slices come from.
        path: The PNG to write, whole or not at all.
        per_class: Slices in a row, at least 1.
        seed: Decides which slices; the same seed gives the same picture.

    Raises:
        ValueError: ``per_class`` is below 1.
        OSError: The file could not be written.
    """
    if per_class < 1:
        raise ValueError(f"expected at least one slice per class, got {per_class}")
    generator = np.random.default_rng(seed)
    chosen = {label: _choose(dataset, label, per_class, generator) for label in TumorType}
    columns = max(map(len, chosen.values()))
    row_height = _TITLE_HEIGHT + _TILE + _CAPTION_HEIGHT + _GAP
    size = (_GAP + columns * (_TILE + _GAP), _GAP + len(TumorType) * row_height)
    sheet = Image.new("RGB", size, _PAPER)
    for row, (label, positions) in enumerate(chosen.items()):
        _draw_row(sheet, _GAP + row * row_height, dataset, label, positions)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def _row(label: TumorType, entries: Iterable[SliceEntry]) -> ClassRow:
    entries = list(entries)
    own = [entry for entry in entries if entry.label is label]
    percent = 100.0 * len(own) / len(entries) if entries else 0.0
    return ClassRow(label, len(own), percent, len({entry.patient for entry in own}))


def _choose(dataset: TumorDataset, label: TumorType, count: int, generator: np.random.Generator) -> list[int]:
    """Random positions of a class in the dataset's order; a patient comes twice only when all were there."""
    own = [position for position, entry in enumerate(dataset.entries) if entry.label is label]
    first: dict[str, int] = {}
    further = []
    for position in generator.permutation(own).tolist():
        patient = dataset.entries[position].patient
        if patient in first:
            further.append(position)
        else:
            first[patient] = position
    return sorted([*first.values(), *further][:count])


def _draw_row(
    sheet: Image.Image, top: int, dataset: TumorDataset, label: TumorType, chosen: list[int]
) -> None:
    draw = ImageDraw.Draw(sheet)
    total = sum(entry.label is label for entry in dataset.entries)
    title = f"{label.title.capitalize()} ({len(chosen)} of {total} slices)"
    draw.text((_GAP, top + 4), title, fill=_INK, font=ImageFont.load_default(_TITLE_SIZE))
    for column, position in enumerate(chosen):
        left = _GAP + column * (_TILE + _GAP)
        sheet.paste(_tile(dataset.image(position), dataset.mask(position)), (left, top + _TITLE_HEIGHT))
        _draw_caption(draw, (left, top + _TITLE_HEIGHT + _TILE + 3), dataset.entries[position])


def _tile(image: NDArray[np.generic], mask: NDArray[np.bool_]) -> Image.Image:
    return overlay_picture(prepare_image(image, _TILE), prepare_mask(mask, _TILE))


def _draw_caption(draw: ImageDraw.ImageDraw, corner: tuple[int, int], entry: SliceEntry) -> None:
    font = ImageFont.load_default(_CAPTION_SIZE)
    text = f"{Path(entry.file).name}, patient {entry.patient}"
    while font.getbbox(text)[2] > _TILE and len(text) > 1:
        text = text.removesuffix("…")[:-1] + "…"
    draw.text(corner, text, fill=_INK, font=font)
