"""Bits where they pay: which precision a recipe gets, and what keeps 32 bits on a CPU."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.train.tiny import tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.train.build import build_network
from tumorlens.train.precision import keep_depthwise_in_32_bits, resolve_precision
from tumorlens.train.trainer import train

DEPTHWISE = [
    nn.Conv2d(8, 8, 3, groups=8),
    nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=8, bias=False),
    nn.Conv2d(4, 12, 3, groups=4),  # three filters a channel
]
OTHERS = [
    nn.Conv2d(8, 8, 3),
    nn.Conv2d(8, 8, 3, groups=2),
    nn.Conv2d(8, 4, 1),
    nn.Conv2d(1, 8, 3),
    nn.ConvTranspose2d(8, 8, 2, groups=8),
    nn.Linear(8, 8),
]


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("auto", "32-true"), ("32", "32-true"), ("16", "16-mixed"), ("bf16", "bf16-mixed")],
)
def test_without_a_gpu_auto_is_32_bits_and_the_rest_is_what_it_says(
    wanted: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_precision(wanted) == name


@pytest.mark.parametrize(("has_bfloat16", "auto"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_on_a_gpu_auto_is_mixed_and_32_stays_32(
    has_bfloat16: bool, auto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bfloat16)
    assert resolve_precision("auto") == auto
    assert resolve_precision("32") == "32-true"


def run(module: nn.Module, x: Tensor, autocast: bool) -> tuple[Tensor, list[Tensor]]:
    """What a module says in bfloat16 autocast or without, and the gradients of its input and weights."""
    x = x.clone().requires_grad_()
    module.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        y = module(x)
    y.float().square().sum().backward()
    return y.detach(), [x.grad, *(weight.grad for weight in module.parameters())]  # type: ignore[list-item]


def picture(channels: int) -> Tensor:
    return torch.randn(2, channels, 12, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("index", range(len(DEPTHWISE)))
def test_depthwise_convolutions_calculate_in_32_bits_under_autocast(index: int) -> None:
    plain, x = DEPTHWISE[index], picture(DEPTHWISE[index].in_channels)
    kept = copy.deepcopy(plain)
    keep_depthwise_in_32_bits(kept)
    exact, exact_gradients = run(plain, x, autocast=False)
    rough, rough_gradients = run(plain, x, autocast=True)
    ours, gradients = run(kept, x, autocast=True)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, exact)
    torch.testing.assert_close(gradients, exact_gradients)
    assert float((rough - exact).abs().max()) > 1e-3  # else this test tells nothing
    assert float((rough_gradients[1] - exact_gradients[1]).abs().max()) > 1e-3


def test_a_bfloat16_input_gets_a_bfloat16_answer_rounded_once() -> None:
    plain, x = DEPTHWISE[0], picture(8).bfloat16()
    kept = copy.deepcopy(plain)
    keep_depthwise_in_32_bits(kept)
    with torch.autocast("cpu", torch.bfloat16):
        ours = kept(x)
    assert ours.dtype == torch.bfloat16
    assert torch.equal(ours, plain(x.float()).bfloat16())


def test_other_layers_follow_autocast_as_before() -> None:
    network = nn.ModuleList(copy.deepcopy(OTHERS))
    before = [vars(module).keys() for module in network]
    keep_depthwise_in_32_bits(network)
    assert [vars(module).keys() for module in network] == before
    for module in network[:4]:
        with torch.autocast("cpu", torch.bfloat16):
            assert module(picture(module.in_channels)).dtype == torch.bfloat16


def test_weights_keep_their_names_and_load_into_an_untouched_network() -> None:
    recipe = tiny_recipe("model.encoder=tf_efficientnet_lite0")
    torch.manual_seed(0)
    network, untouched = build_network(recipe, None), build_network(recipe, None)
    names = list(network.state_dict())
    keep_depthwise_in_32_bits(network)
    assert list(network.state_dict()) == names
    untouched.load_state_dict(network.state_dict())
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(network.eval()(x), untouched.eval()(x))


def test_every_depthwise_convolution_of_an_encoder_is_kept_and_the_rest_gets_bfloat16() -> None:
    network = build_network(tiny_recipe("model.encoder=tf_efficientnet_lite0"), None).eval()
    keep_depthwise_in_32_bits(network)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    kept = [module for module in convolutions if "forward" in vars(module)]
    assert len(kept) == 16  # one in each block
    assert all(module.groups == module.in_channels for module in kept)
    types = []
    for module in convolutions:
        if module not in kept:
            module.register_forward_hook(lambda *call: types.append(call[2].dtype))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        network(torch.rand(1, 1, 64, 64))
    assert len(types) == len(convolutions) - 16
    assert set(types) == {torch.bfloat16}


def test_a_copy_of_a_kept_network_uses_its_own_weights() -> None:
    kept = copy.deepcopy(DEPTHWISE[0])
    keep_depthwise_in_32_bits(kept)
    x = picture(8)
    before, twin = kept(x), copy.deepcopy(kept)
    nn.init.zeros_(twin.weight)
    nn.init.zeros_(twin.bias)
    assert torch.equal(kept(x), before)
    assert not twin(x).any()


def test_a_run_in_bfloat16_on_a_cpu_ends_with_weights_in_32_bits_by_the_usual_names(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    recipe = tiny_recipe("training.precision=bf16", "model.encoder=tf_efficientnet_lite0")
    train(recipe, tiny, tmp_path / "run", report=lambda _: None)
    saved = load_file(tmp_path / "run" / "best.safetensors")
    expected = build_network(recipe, None).state_dict()
    assert saved.keys() == expected.keys()
    assert {name: tensor.dtype for name, tensor in saved.items()} == {
        name: tensor.dtype for name, tensor in expected.items()
    }
    assert all(tensor.isfinite().all() for tensor in saved.values())
