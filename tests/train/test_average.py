"""The weights of a run can be the mean of those at the end of each phase."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.train.tiny import killed_after, tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.train.run import Run
from tumorlens.train.trainer import train

PHASES = (
    "training.phases=[{epochs: 2, learning_rate: 0.003}, {epochs: 1, learning_rate: 0.002}, "
    "{epochs: 1, learning_rate: 0.001}]"
)
AVERAGED = (PHASES, "training.average_phases=true", "training.validate_from=3")


def silent(_: str) -> None:
    """Report nothing."""


def weights(path: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(path)


@pytest.fixture(scope="module")
def averaged(tiny: TumorDataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("averaged") / "run"
    return train(tiny_recipe(*AVERAGED), tiny, folder, report=silent)


def test_the_weights_are_the_mean_of_the_phases_ends(averaged: Run) -> None:
    phases = [weights(averaged.folder / f"phase-{number}.safetensors") for number in (1, 2, 3)]
    best = weights(averaged.best_weights)
    assert best.keys() == phases[0].keys()
    counters = 0
    for name, values in best.items():
        if values.is_floating_point():
            torch.testing.assert_close(values, sum(phase[name] for phase in phases) / 3)
        else:
            assert torch.equal(values, phases[-1][name])
            counters += 1
    assert counters
    assert any(not torch.equal(phases[0][name], phases[1][name]) for name in best)
    averaged.load_network()


def test_the_last_phase_s_end_is_what_training_without_averaging_ends_with(
    averaged: Run, tiny: TumorDataset, tmp_path: Path
) -> None:
    plain = train(tiny_recipe(PHASES, "training.validate_from=3"), tiny, tmp_path / "run", report=silent)
    last, alike = weights(plain.best_weights), weights(averaged.folder / "phase-3.safetensors")
    assert all(torch.equal(values, alike[name]) for name, values in last.items())
    assert not list(plain.folder.glob("phase-*"))


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_resumed_run_has_the_same_mean(
    epochs: int, averaged: Run, tiny: TumorDataset, tmp_path: Path
) -> None:
    recipe = tiny_recipe(*AVERAGED)
    with pytest.raises(RuntimeError, match="killed"):
        train(recipe, tiny, tmp_path / "run", report=killed_after(epochs))
    run = train(recipe, tiny, tmp_path / "run", resume=True, report=silent)
    mine, whole = weights(run.best_weights), weights(averaged.best_weights)
    assert all(torch.equal(values, mine[name]) for name, values in whole.items())


def test_averaging_with_a_choice_by_validation_is_refused() -> None:
    with pytest.raises(TumorlensError, match="expected the last epoch, 3, where average_phases is true"):
        tiny_recipe(PHASES, "training.average_phases=true")
