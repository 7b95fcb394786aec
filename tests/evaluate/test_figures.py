import itertools
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from tumorlens.errors import TumorlensError
from tumorlens.evaluate.case_figure import Case, cases_figure, select_cases
from tumorlens.evaluate.classification import ClassificationEvaluation, evaluate_classification
from tumorlens.evaluate.figures import (
    confusion_figure,
    history_figure,
    new_figure,
    reliability_figure,
    roc_figure,
    save_figure,
)
from tumorlens.evaluate.segmentation import SegmentationCase, SegmentationEvaluation, evaluate_segmentation
from tumorlens.tumor_type import TumorType

SIZE = 48


def masks(number: int) -> tuple[np.ndarray, np.ndarray]:
    """An outline and one shifted further with every number; every seventh is empty."""
    true = np.zeros((SIZE, SIZE), dtype=np.bool_)
    true[10:26, 12:30] = True
    predicted = np.roll(true, number % 9, axis=1)
    return true, np.zeros_like(true) if number % 7 == 6 else predicted


def load(file: str) -> Case:
    number = int(Path(file).stem)
    image = np.random.default_rng(number).integers(0, 3000, (SIZE, SIZE)).astype(np.int16)
    return image, *masks(number)


@pytest.fixture(scope="module")
def segmentation() -> SegmentationEvaluation:
    labels = list(TumorType)
    return evaluate_segmentation(
        SegmentationCase(f"data/{n}.mat", f"p{n // 3}", labels[n // 3 % 3], 0.49, *masks(n))
        for n in range(27)
    )


@pytest.fixture(scope="module")
def classification() -> ClassificationEvaluation:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    odds = np.exp(rng.normal(size=(200, 3)) + 2 * np.eye(3)[labels])
    empty = np.zeros((1, 1), dtype=np.bool_)
    cases = [
        SegmentationCase(str(n), f"p{n // 4}", TumorType.from_class_index(int(labels[n])), 1, empty, empty)
        for n in range(200)
    ]
    return evaluate_classification(cases, odds / odds.sum(axis=1, keepdims=True))


def history(epochs: int = 30) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "train_loss": 1 / (epoch + 1),
            "validation_loss": 1.2 / (epoch + 1) + 0.1,
            "train_score": 1 - 1 / (epoch + 1),
            "validation_score": 0.8 - 0.7 / (epoch + 1) - 0.001 * (epoch - 20) ** 2,
        }
        for epoch in range(epochs)
    ]


@pytest.fixture(
    params=[
        "cases",
        "one case",
        "confusion",
        "large confusion",
        "score",
        "loss",
        "one epoch",
        "300 epochs",
        "reliability",
        "roc",
    ]
)
def figure(
    request: pytest.FixtureRequest,
    segmentation: SegmentationEvaluation,
    classification: ClassificationEvaluation,
) -> Figure:
    return {
        "cases": lambda: cases_figure(segmentation, load, each=2),
        "one case": lambda: cases_figure(segmentation, load, each=1),
        "confusion": lambda: confusion_figure(classification.metrics.confusion),
        "large confusion": lambda: confusion_figure(classification.metrics.confusion * 4321),
        "score": lambda: history_figure(history(), "score"),
        "loss": lambda: history_figure(history(), "loss"),
        "one epoch": lambda: history_figure(history(1), "score"),
        "300 epochs": lambda: history_figure(history(300), "loss"),
        "reliability": lambda: reliability_figure(classification),
        "roc": lambda: roc_figure(classification),
    }[request.param]()


def shown_texts(figure: Figure) -> list[Text]:
    """Every text that is drawn: tick labels inside the view, titles, labels, notes."""
    ticks, inside = set(), []
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks() + axis.get_minor_ticks():
            ticks.update({tick.label1, tick.label2})
            if low <= tick.get_loc() <= high:
                inside += [label for label in (tick.label1, tick.label2) if label.get_visible()]
    others = [text for text in figure.findobj(Text) if text not in ticks and text.get_visible()]
    return [text for text in [*others, *inside] if text.get_text()]


def boxes(figure: Figure) -> dict[str, Bbox]:
    figure.canvas.draw()
    texts = shown_texts(figure)
    return {f"{number} {text.get_text()!r}": text.get_window_extent() for number, text in enumerate(texts)}


def overlapping(found: dict[str, Bbox]) -> list[tuple[str, str]]:
    """Pairs of texts of which both width and height overlap by more than a pixel."""
    pairs = itertools.combinations(found.items(), 2)
    return [
        (a, b)
        for (a, one), (b, two) in pairs
        if Bbox.intersection(one, two) is not None and area(one, two) > 1
    ]


def area(one: Bbox, two: Bbox) -> float:
    common = Bbox.intersection(one, two)
    return 0.0 if common is None else max(common.width, 0) * max(common.height, 0)


def test_every_text_lies_inside_the_canvas(figure: Figure) -> None:
    for name, box in boxes(figure).items():
        assert box.x0 >= 0, name
        assert box.y0 >= 0, name
        assert box.x1 <= figure.bbox.width, name
        assert box.y1 <= figure.bbox.height, name


def test_no_two_texts_overlap(figure: Figure) -> None:
    found = boxes(figure)
    assert len(found) > 3
    assert overlapping(found) == []


def test_legends_cover_no_tick_label_and_no_other_legend(figure: Figure) -> None:
    found = boxes(figure)
    legends = figure.findobj(Legend)
    own = {text.get_text() for legend in legends for text in legend.findobj(Text)}
    for legend in legends:
        for name, box in found.items():
            assert name.split(" ", 1)[1] in map(repr, own) or area(legend.get_window_extent(), box) <= 1, name
    for one, two in itertools.combinations(legends, 2):
        assert area(one.get_window_extent(), two.get_window_extent()) == 0


def test_texts_are_at_least_eight_points(figure: Figure) -> None:
    figure.canvas.draw()
    assert min(float(text.get_fontsize()) for text in shown_texts(figure)) >= 8


def test_the_picture_is_written_and_not_blank(figure: Figure, tmp_path: Path) -> None:
    save_figure(figure, tmp_path / "made" / "figure.png")
    with Image.open(tmp_path / "made" / "figure.png") as picture:
        assert picture.format == "PNG"
        assert picture.width == pytest.approx(figure.get_figwidth() * 150, abs=1)
        assert picture.width <= 6.5 * 150 + 1
        pixels = np.asarray(picture.convert("L"))
    assert 0.02 < (pixels < 200).mean() < 0.98 or len(np.unique(pixels)) > 50
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["figure.png"]


def test_no_figure_enters_the_global_state(figure: Figure) -> None:
    assert plt.get_fignums() == []


def test_the_overlap_check_finds_an_overlap() -> None:
    figure = new_figure(3, 3)
    figure.text(0.5, 0.5, "one")
    figure.text(0.51, 0.51, "two")
    assert len(overlapping(boxes(figure))) == 1


def texts(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for text in shown_texts(figure)]


def test_cases_are_the_best_the_median_and_the_worst(segmentation: SegmentationEvaluation) -> None:
    cases = select_cases(segmentation, each=3)
    dice = segmentation.slices["dice"]
    assert [case.group for case in cases] == ["best"] * 3 + ["median"] * 3 + ["worst"] * 3
    assert cases[0].dice == dice.max()
    assert [case.dice for case in cases[6:]] == [dice.min()] * 3
    assert abs(cases[3].dice - dice.median()) < 0.1
    assert len({case.file for case in cases}) == 9


def test_each_case_of_a_group_is_another_patient_while_there_are_enough(
    segmentation: SegmentationEvaluation,
) -> None:
    patient_of = dict(zip(segmentation.slices["file"], segmentation.slices["patient"], strict=True))
    cases = select_cases(segmentation, each=3)
    for group in ("best", "median", "worst"):
        assert len({patient_of[case.file] for case in cases if case.group == group}) == 3


def test_fewer_slices_than_asked_for_are_shown_once_each() -> None:
    few = evaluate_segmentation(
        SegmentationCase(f"{n}.mat", "one patient", TumorType.GLIOMA, 1.0, *masks(n)) for n in range(4)
    )
    cases = select_cases(few, each=2)
    assert sorted(case.file for case in cases) == ["0.mat", "1.mat", "2.mat", "3.mat"]


def test_asking_for_no_cases_is_refused(segmentation: SegmentationEvaluation) -> None:
    with pytest.raises(ValueError, match="at least one case of each group, got 0"):
        select_cases(segmentation, each=0)


def test_cases_show_file_type_and_dice_and_say_when_nothing_was_outlined(
    segmentation: SegmentationEvaluation,
) -> None:
    shown = texts(cases_figure(segmentation, load, each=1))
    worst = select_cases(segmentation, each=1)[-1]
    assert f"worst\n{Path(worst.file).name}\n{worst.label.title}\nDice 0.000" in shown
    assert "nothing outlined" in shown


def test_long_file_names_leave_room_for_the_pictures() -> None:
    name = f"{'long/' * 20}brainTumorDataPublic_with_a_very_long_name.mat"
    evaluation = evaluate_segmentation([SegmentationCase(name, "a", TumorType.PITUITARY, 1.0, *masks(1))])
    figure = cases_figure(evaluation, lambda _: (np.eye(SIZE), *masks(1)), each=1)
    figure.canvas.draw()
    assert figure.axes[0].get_window_extent().width > 0.2 * figure.bbox.width


def test_only_the_shown_cases_are_loaded(segmentation: SegmentationEvaluation) -> None:
    loaded: list[str] = []
    cases_figure(segmentation, lambda file: loaded.append(file) or load(file), each=1)  # type: ignore[func-returns-value]
    assert len(loaded) == len(set(loaded)) == 3


def test_the_confusion_figure_prints_counts_and_percent_of_the_row() -> None:
    shown = texts(confusion_figure(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])))
    assert {"3\n75.0%", "1\n25.0%", "2\n100.0%", "0\n0.0%", "pituitary tumor\n(n = 0)"} <= set(shown)
    with pytest.raises(ValueError, match=r"shape \(3, 3\), got \(2, 2\)"):
        confusion_figure(np.eye(2, dtype=np.int64))


def test_the_best_epoch_is_that_of_the_best_validation_score() -> None:
    rows = history()
    best = max(rows, key=lambda row: row["validation_score"])
    score, loss = history_figure(rows, "score", score_name="accuracy"), history_figure(rows, "loss")
    assert f"best epoch: {best['epoch']} ({best['validation_score']:.3f})" in texts(score)
    assert f"best epoch: {best['epoch']} ({best['validation_loss']:.3f})" in texts(loss)
    assert {"training", "validation", "Accuracy by epoch"} <= set(texts(score))
    assert any("best epoch: 3 " in text for text in texts(history_figure(rows, "loss", best_epoch=3)))


def test_a_history_may_be_a_table_with_gaps() -> None:
    table = pd.DataFrame(history())
    table.loc[[0, 5], ["train_loss", "validation_score"]] = np.nan
    lines = history_figure(table, "score").axes[0].get_lines()
    assert {line.get_label(): len(line.get_xdata()) for line in lines}["validation"] == 28  # type: ignore[arg-type]


def test_a_history_without_a_column_or_a_score_is_refused() -> None:
    with pytest.raises(TumorlensError, match="got none of validation_loss"):
        history_figure(pd.DataFrame(history()).drop(columns="validation_loss"), "score")
    with pytest.raises(TumorlensError, match="at least one epoch with a validation score"):
        history_figure(pd.DataFrame(history()).assign(validation_score=np.nan), "score")
    with pytest.raises(TumorlensError, match="expected a history"):
        history_figure([], "score")


def test_the_curves_name_their_numbers(classification: ClassificationEvaluation) -> None:
    auroc = classification.metrics.per_class[TumorType.GLIOMA].auroc
    assert f"glioma: {auroc:.3f}" in texts(roc_figure(classification))
    error = classification.metrics.calibration_error
    assert f"calibration error {error:.3f}" in texts(reliability_figure(classification))
