"""The first epochs may see smaller slices: everything stays where it was, and only full size is validated."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.train.tiny import killed_after, tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.train import module
from tumorlens.train.datamodule import Batch
from tumorlens.train.module import smaller
from tumorlens.train.run import Run
from tumorlens.train.trainer import train

STAGES = "training.smaller_first=[{epochs: 1, size: 64}, {epochs: 2, size: 96}]"
PHASES = "training.phases=[{epochs: 5, learning_rate: 0.003}]"


def silent(_: str) -> None:
    """Report nothing."""


@given(
    st.integers(20, 150), st.integers(20, 150), st.integers(24, 72), st.integers(24, 72), st.integers(80, 200)
)
def test_a_smaller_batch_shows_everything_where_it_was(
    top: int, left: int, height: int, width: int, size: int
) -> None:
    mask = torch.zeros(1, 1, 224, 224, dtype=torch.bool)
    mask[..., top : top + height, left : left + width] = True
    batch = Batch(mask.float(), mask, torch.tensor([0]), torch.tensor([True]))
    small = smaller(batch, size)
    assert small.image.shape == small.mask.shape == (1, 1, size, size)
    assert small.mask.dtype == torch.bool
    scale = size / 224
    rows, columns = torch.nonzero(small.mask[0, 0], as_tuple=True)
    centre = ((rows.float().mean() + 0.5) / scale, (columns.float().mean() + 0.5) / scale)
    assert abs(centre[0] - (top + height / 2)) <= 0.5 / scale
    assert abs(centre[1] - (left + width / 2)) <= 0.5 / scale
    assert abs(len(rows) / scale**2 / (height * width) - 1) < 0.2
    weight = small.image[0, 0]
    centroid = (weight.sum(1) * (torch.arange(size) + 0.5)).sum() / weight.sum() / scale
    assert abs(centroid - (top + height / 2)) < 0.25
    assert small.label is batch.label
    assert small.natural is batch.natural


def test_the_stages_follow_one_another_to_full_size() -> None:
    training = tiny_recipe(STAGES, PHASES).training
    assert [training.smaller_size(epoch) for epoch in range(5)] == [64, 96, 96, None, None]
    assert training.first_full_epoch == 3


def test_the_last_epoch_sees_full_size() -> None:
    with pytest.raises(TumorlensError, match=r"expected fewer epochs than the 3 of all phases"):
        tiny_recipe(STAGES, "training.phases=[{epochs: 3, learning_rate: 0.003}]")


def test_a_size_that_the_encoder_does_not_take_is_told_before_anything_is_written(
    tiny: TumorDataset, tmp_path: Path
) -> None:
    recipe = tiny_recipe("training.smaller_first=[{epochs: 1, size: 65}]", PHASES)
    with pytest.raises(TumorlensError, match=r"size: expected one that .* takes, got 65"):
        train(recipe, tiny, tmp_path / "run", report=silent)
    assert not (tmp_path / "run").exists()


def test_only_full_size_is_validated_and_kept(tiny: TumorDataset, tmp_path: Path) -> None:
    said: list[str] = []
    run = train(tiny_recipe(STAGES, PHASES), tiny, tmp_path / "run", report=said.append)
    history = run.history()
    assert history["validation_score"].notna().tolist() == [False] * 3 + [True] * 2
    assert history["train_score"].notna().all()
    assert run.record.best_epoch in (3, 4)
    assert run.record.best_score == history["validation_score"].max()
    assert not any("nan" in line for line in said)


def test_each_epoch_trains_on_slices_of_its_size(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def watched(batch: Batch, size: int) -> Batch:
        seen.append(size)
        return smaller(batch, size)

    monkeypatch.setattr(module, "smaller", watched)
    recipe = tiny_recipe(STAGES, PHASES)
    run = train(recipe, tiny, tmp_path / "run", report=silent)
    steps = -(-len(run.split.train) // recipe.training.batch_size)
    assert seen == [64] * steps + [96] * 2 * steps


def test_patience_waits_for_full_size(tiny: TumorDataset, tmp_path: Path) -> None:
    stages = "training.smaller_first=[{epochs: 3, size: 64}]"
    phases = "training.phases=[{epochs: 9, learning_rate: 1.0e-12}]"
    recipe = tiny_recipe(stages, phases, "training.patience=1")
    history = train(recipe, tiny, tmp_path / "run", report=silent).history()
    assert 4 <= len(history) < 9


@pytest.mark.parametrize("after", [1, 3, 4])
def test_killed_among_smaller_slices_it_ends_as_uninterrupted(
    after: int, tiny: TumorDataset, tmp_path: Path
) -> None:
    recipe = tiny_recipe(STAGES, PHASES, "augmentation.probability=1")
    whole = train(recipe, tiny, tmp_path / "whole", report=silent)
    with pytest.raises(RuntimeError, match="killed"):
        train(recipe, tiny, tmp_path / "killed", report=killed_after(after))
    assert not Run(tmp_path / "killed").is_finished
    resumed = train(recipe, tiny, tmp_path / "killed", resume=True, report=silent)
    assert resumed.best_weights.read_bytes() == whole.best_weights.read_bytes()
    assert resumed.record.best_epoch == whole.record.best_epoch


def test_only_epochs_from_validate_from_on_are_validated_and_nothing_is_chosen_where_it_is_the_last(
    tiny: TumorDataset, tmp_path: Path
) -> None:
    phases = "training.phases=[{epochs: 3, learning_rate: 0.003}]"
    run = train(tiny_recipe(phases, "training.validate_from=2"), tiny, tmp_path / "run", report=silent)
    history = run.history()
    assert history["validation_score"].notna().tolist() == [False, False, True]
    assert run.record.best_epoch == 2


def test_validating_from_past_the_end_is_refused() -> None:
    with pytest.raises(TumorlensError, match=r"validate_from: expected less than the 2 epochs"):
        tiny_recipe("training.phases=[{epochs: 2, learning_rate: 0.003}]", "training.validate_from=2")
