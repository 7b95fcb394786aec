"""What is frozen stays, what is trained moves, and the learning rate keeps its schedule."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.losses.dice import DiceLoss
from torch import Tensor, nn
from torch.nn import functional

from tests.train.tiny import tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.model.joint import JointOutputs
from tumorlens.train.build import build_network
from tumorlens.train.datamodule import Batch
from tumorlens.train.joint import JointModule
from tumorlens.train.module import (
    ClassificationModule,
    SegmentationModule,
    TumorModule,
    freeze,
    learning_rate,
    phase_at,
    segmentation_loss,
    type_loss,
)
from tumorlens.train.recipe import ClassificationRecipe, JointRecipe, PhaseRecipe, Recipe, SegmentationRecipe
from tumorlens.train.recipe_file import load_recipe
from tumorlens.train.trainer import train

SIZE = 64
BATCH = Batch(
    torch.rand(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0)),
    torch.rand(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) > 0.9,
    torch.tensor([0, 1, 2, 1]),
    torch.ones(4, dtype=torch.bool),
)


def module_of(recipe: Recipe) -> TumorModule:
    torch.manual_seed(0)
    network = build_network(recipe, None)
    if isinstance(recipe, SegmentationRecipe):
        return SegmentationModule(network, recipe, 1)
    return ClassificationModule(network, recipe, 1)


def state_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def step(module: TumorModule, phase: PhaseRecipe, optimizer: torch.optim.Optimizer) -> set[str]:
    """One step of the optimizer in a phase; the names of all weights and statistics that it changed."""
    before = state_of(module.network)
    freeze(module.network, phase)
    optimizer.zero_grad()
    module.loss_and_score(BATCH)[0].backward()
    optimizer.step()
    return {
        name for name, tensor in module.network.state_dict().items() if not torch.equal(tensor, before[name])
    }


@pytest.mark.parametrize("task", ["segmentation", "classification"])
@pytest.mark.parametrize("encoder", ["resnet10t", "tf_efficientnet_lite0"])
def test_only_the_last_block_and_what_follows_it_move_while_the_rest_is_frozen(
    task: str, encoder: str
) -> None:
    module = module_of(tiny_recipe(f"model.encoder={encoder}", task=task))
    optimizer = module.configure_optimizers()["optimizer"]
    optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = 1e-2
    last = (
        ("encoder.layer4.",)
        if encoder == "resnet10t"
        else ("encoder.blocks.6.", "encoder.conv_head", "encoder.bn2")
    )
    partly = PhaseRecipe(epochs=1, learning_rate=1, trainable="last-block")
    # All first, so that the optimizer has moments of every weight when the phase freezes some.
    step(module, PhaseRecipe(epochs=1, learning_rate=1), optimizer)
    changed = step(module, partly, optimizer)
    in_encoder = {name for name in changed if name.startswith("encoder.")}
    assert in_encoder
    assert all(name.startswith(last) for name in in_encoder)
    trained = {name for name, _ in module.network.named_parameters() if not name.startswith("encoder.")}
    assert trained <= changed
    changed = step(module, PhaseRecipe(epochs=1, learning_rate=1, trainable="head"), optimizer)
    assert not any(name.startswith("encoder.") for name in changed)
    changed = step(module, PhaseRecipe(epochs=1, learning_rate=1), optimizer)
    assert {name for name, _ in module.network.named_parameters()} <= changed


def test_frozen_batch_norms_keep_their_statistics_through_epochs_and_the_next_phase_releases_them(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases = "[{epochs: 2, learning_rate: 0.01, trainable: last-block}, {epochs: 1, learning_rate: 0.01}]"
    recipe = tiny_recipe(f"training.phases={phases}", "model.encoder=test_resnet")
    states: list[dict[str, Tensor]] = []
    monkeypatch.setattr(
        SegmentationModule, "on_validation_start", lambda self: states.append(state_of(self.network))
    )
    initial = state_of(module_of(recipe).network)
    train(recipe, tiny, tmp_path / "run", report=lambda _: None)
    assert len(states) == 3
    statistics = [name for name in initial if name.endswith(("running_mean", "running_var"))]
    frozen = [n for n in statistics if n.startswith("encoder.") and not n.startswith("encoder.layer4.")]
    assert len(frozen) > 4
    for state in states[:2]:
        assert all(torch.equal(state[name], initial[name]) for name in frozen)
        assert not any(torch.equal(state[name], initial[name]) for name in statistics if name not in frozen)
    assert not any(torch.equal(states[2][name], initial[name]) for name in frozen)


def test_biases_and_norms_do_not_decay() -> None:
    module = module_of(tiny_recipe("training.weight_decay=0.5"))
    decayed, free = module.configure_optimizers()["optimizer"].param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.5, 0)
    unwanted = {
        id(weight)
        for part in module.network.modules()
        for name, weight in part.named_parameters(recurse=False)
        if isinstance(part, nn.BatchNorm2d) or name == "bias"
    }
    assert {id(weight) for weight in free["params"]} == unwanted
    everything = {id(weight) for weight in module.network.parameters()}
    assert {id(weight) for group in (decayed, free) for weight in group["params"]} == everything


PHASES = (
    PhaseRecipe(epochs=2, learning_rate=1e-3),
    PhaseRecipe(epochs=10, learning_rate=5e-4, schedule="cosine", warmup_epochs=2),
)


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [
        (0, 1e-3),
        (1.999, 1e-3),
        (2, 5e-7),  # the warm-up starts at a thousandth
        (3, 2.5e-4),
        (4, 5e-4),
        (6, 5e-4 * 0.5 * (1 + math.cos(math.pi * 2 / 8))),
        (8, 2.5e-4),
        (11.999, 0),
        (12, 0),
        (99, 0),
    ],
)
def test_the_learning_rate_keeps_its_schedule(epoch: float, rate: float) -> None:
    assert learning_rate(PHASES, epoch) == pytest.approx(rate, abs=1e-9)


def test_a_phase_begins_where_the_one_before_ends() -> None:
    assert phase_at(PHASES, 1.5) == (PHASES[0], 1.5)
    assert phase_at(PHASES, 2) == (PHASES[1], 0)
    assert phase_at(PHASES, 50) == (PHASES[1], 10)


def test_the_optimizer_s_rate_follows_the_schedule_step_by_step() -> None:
    recipe = tiny_recipe(
        "training.phases=[{epochs: 4, learning_rate: 0.01, schedule: cosine, warmup_epochs: 1}]"
    )
    assert isinstance(recipe, SegmentationRecipe)
    module = SegmentationModule(build_network(recipe, None), recipe, steps_per_epoch=5)
    parts = module.configure_optimizers()
    optimizer, schedule = parts["optimizer"], parts["lr_scheduler"]["scheduler"]
    for number in range(20):
        expected = learning_rate(recipe.training.phases, number / 5)
        assert [group["lr"] for group in optimizer.param_groups] == [pytest.approx(expected)] * 2
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def loss_of(logits: Tensor, mask: Tensor, *overrides: str) -> float:
    recipe = tiny_recipe(*overrides)
    assert isinstance(recipe, SegmentationRecipe)
    return float(segmentation_loss(logits, mask, recipe.loss, DiceLoss(sigmoid=True)))


def test_the_loss_is_cross_entropy_plus_the_mean_dice_loss_of_the_slices() -> None:
    torch.manual_seed(0)
    logits, mask = torch.randn(3, 1, 8, 8), torch.rand(3, 1, 8, 8) > 0.7
    p = torch.sigmoid(logits)
    cross_entropy = -torch.where(mask, p.log(), (1 - p).log()).mean()
    dice = 1 - 2 * (p * mask).sum((1, 2, 3)) / (p.sum((1, 2, 3)) + mask.sum((1, 2, 3)))
    assert loss_of(logits, mask) == pytest.approx(float(cross_entropy + dice.mean()), rel=1e-4)
    assert loss_of(logits, mask, "loss.dice=0") == pytest.approx(float(cross_entropy), rel=1e-5)
    half = loss_of(logits, mask, "loss.cross_entropy=0", "loss.dice=0.5")
    assert half == pytest.approx(float(dice.mean()) / 2, rel=1e-4)


def test_the_loss_is_near_zero_where_the_outline_is_right_and_sure() -> None:
    mask = BATCH.mask
    assert loss_of(torch.where(mask, 20.0, -20.0), mask) < 1e-4
    assert loss_of(torch.where(mask, -20.0, 20.0), mask) > 1


def test_the_score_of_an_empty_mask_is_one_where_nothing_is_outlined_and_zero_elsewhere() -> None:
    module = module_of(tiny_recipe())
    batch = Batch(
        torch.zeros(2, 1, SIZE, SIZE),
        torch.zeros(2, 1, SIZE, SIZE, dtype=torch.bool),
        torch.zeros(2),
        torch.ones(2, dtype=torch.bool),
    )

    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits = torch.full_like(x, -1.0)
            logits[1, 0, 3, 3] = 1
            return logits

    module.network = Fixed()
    assert float(module.loss_and_score(batch)[1]) == 0.5


def test_the_classifier_s_score_is_its_accuracy() -> None:
    recipe = tiny_recipe(task="classification")
    assert isinstance(recipe, ClassificationRecipe)
    module = module_of(recipe)

    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.eye(3)[[0, 1, 2, 2]][: len(x)]

    module.network = Fixed()
    assert float(module.loss_and_score(BATCH)[1]) == 0.75


def named(labels: list[int], natural: list[bool]) -> Batch:
    """A batch of which the type's loss reads only the labels and what is natural."""
    n = len(labels)
    nothing = torch.zeros(n, 1, 1, 1)
    return Batch(nothing, nothing.bool(), torch.tensor(labels), torch.tensor(natural))


_SLICES = st.lists(
    st.tuples(
        st.lists(st.floats(-30, 30, width=32), min_size=3, max_size=3), st.integers(0, 2), st.booleans()
    ),
    min_size=1,
    max_size=8,
)


@given(slices=_SLICES, smoothing=st.sampled_from([0.0, 0.05, 0.9]))
def test_only_slices_whose_lesion_looks_as_it_did_teach_the_type(
    slices: list[tuple[list[float], int, bool]], smoothing: float
) -> None:
    logits = torch.tensor([row for row, _, _ in slices], requires_grad=True)
    batch = named([label for _, label, _ in slices], [natural for _, _, natural in slices])
    loss = type_loss(logits, batch, smoothing)
    loss.backward()
    assert loss.shape == ()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert not logits.grad[~batch.natural].any()  # exactly zero, not nearly
    alone = logits.detach()[batch.natural].requires_grad_()
    if not len(alone):
        assert float(loss.detach()) == 0
        return
    expected = functional.cross_entropy(alone, batch.label[batch.natural], label_smoothing=smoothing)
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(logits.grad[batch.natural], alone.grad)


def test_the_type_s_loss_is_the_mean_cross_entropy_where_every_lesion_is_natural() -> None:
    logits = torch.tensor([[2.0, 0, 0], [0, 1.0, 0]])
    first, second = math.log(math.exp(2) + 2) - 2, math.log(math.e + 2)  # −log of the true type's share
    loss = type_loss(logits, named([0, 2], [True, True]), 0)
    assert float(loss) == pytest.approx((first + second) / 2)
    smooth = type_loss(logits[:1], named([0], [True]), 0.3)
    assert float(smooth) == pytest.approx(0.7 * first + 0.1 * (first + 2 * (first + 2)))


@pytest.mark.parametrize("natural", [[True, False, True, False], [False] * 4])
def test_the_classifier_learns_nothing_from_the_label_of_a_changed_slice(natural: list[bool]) -> None:
    module = module_of(tiny_recipe(task="classification")).eval()
    changed = BATCH._replace(natural=torch.tensor(natural))
    other = changed._replace(label=torch.where(changed.natural, changed.label, (changed.label + 1) % 3))
    loss, other_loss = (module.loss_and_score(batch)[0] for batch in (changed, other))
    assert torch.equal(loss, other_loss)
    if not any(natural):
        assert float(loss.detach()) == 0
        loss.backward()
        assert not any(weight.grad.any() for weight in module.parameters() if weight.grad is not None)


def test_the_joint_network_learns_the_outline_and_not_the_type_from_a_changed_slice() -> None:
    recipe = load_recipe("lite-joint", ["loss.guidance=0.5"])
    assert isinstance(recipe, JointRecipe)
    module = JointModule(nn.Identity(), recipe, 1)
    mask_logits = torch.zeros(4, 1, SIZE, SIZE, requires_grad=True)
    class_logits = torch.tensor([[1.0, 0, 0]] * 4, requires_grad=True)
    attention = torch.full((4, 1, 8, 8), 1 / 64)

    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> JointOutputs:
            return JointOutputs(mask_logits, class_logits, class_logits[:, :, None, None], attention)

    module.network = Fixed()
    module.loss_and_score(BATCH._replace(natural=torch.tensor([True, False, True, False])))[0].backward()
    assert class_logits.grad is not None
    assert mask_logits.grad is not None
    assert class_logits.grad.any(1).tolist() == [True, False, True, False]
    assert mask_logits.grad.flatten(1).any(1).all()
