"""One network with two heads."""

import pytest
import torch

from tumorlens.model import JointNetwork
from tumorlens.train.joint import attention_outside


@pytest.fixture(scope="module")
def network() -> JointNetwork:
    torch.manual_seed(0)
    return JointNetwork("test_resnet", (32, 16, 8)).eval()


def test_both_heads_answer_in_the_batch_s_own_geometry(network: JointNetwork) -> None:
    outputs = network(torch.rand(2, 1, 64, 96))
    assert outputs.mask_logits.shape == (2, 1, 64, 96)
    assert outputs.class_logits.shape == (2, 3)


def test_the_class_maps_sum_to_the_class_logits(network: JointNetwork) -> None:
    outputs = network(torch.rand(2, 1, 64, 64))
    summed = outputs.class_maps.sum((2, 3)) + network.type_bias
    torch.testing.assert_close(summed, outputs.class_logits)


def test_attention_is_a_share_of_every_position(network: JointNetwork) -> None:
    attention = network(torch.rand(2, 1, 64, 64)).attention
    assert (attention >= 0).all()
    torch.testing.assert_close(attention.sum((1, 2, 3)), torch.ones(2))


def attention_where_outlined(
    network: JointNetwork, outlined: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> torch.Tensor:
    """Attention for one and the same picture with these mask logits, (8, 8) blocks of one value each."""
    logits = outlined.repeat_interleave(8, 2).repeat_interleave(8, 3)
    monkeypatch.setattr(network, "outline", lambda *_: logits)
    return network(torch.linspace(0, 1, 64 * 64).reshape(1, 1, 64, 64)).attention


def test_in_use_the_name_is_read_from_what_is_outlined(
    network: JointNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = torch.full((1, 1, 8, 8), -20.0)
    nowhere = attention_where_outlined(network, logits, monkeypatch)
    logits[0, 0, 1:3, 5] = 20.0
    there = attention_where_outlined(network, logits, monkeypatch)
    size = nowhere.shape[-1]
    step = size // 8
    inside = torch.zeros(size, size, dtype=torch.bool)
    inside[step : 3 * step, 5 * step : 6 * step] = True
    gain = (there / nowhere)[0, 0]
    assert gain[inside].std() < 1e-4 * gain[inside].mean()
    assert gain[~inside].std() < 1e-4 * gain[~inside].mean()
    torch.testing.assert_close(gain[inside].mean() / gain[~inside].mean(), torch.tensor(1.03 / 0.03))


def test_in_training_the_outline_has_no_say_in_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = JointNetwork("test_resnet", (32, 16, 8), dropout=0)
    one = attention_where_outlined(network, torch.full((1, 1, 8, 8), -20.0), monkeypatch)
    other = attention_where_outlined(network, torch.randn(1, 1, 8, 8) * 20, monkeypatch)
    torch.testing.assert_close(one, other)


def test_every_place_sees_every_other_once_context_is_learned() -> None:
    torch.manual_seed(0)
    network = JointNetwork("test_resnet", (32, 16, 8)).eval()
    torch.nn.init.normal_(network.context.out.weight)
    image = torch.rand(1, 1, 64, 64)
    changed = image.clone()
    changed[..., -1, -1] += 1
    difference = (
        network.context(network.encode(image)[0]) - network.context(network.encode(changed)[0])
    ).abs()
    assert (difference.amax(1) > 0).all()


def test_guidance_is_zero_inside_the_tumor_one_far_outside_and_skips_slices_without_one() -> None:
    mask = torch.zeros(3, 1, 64, 64, dtype=torch.bool)
    mask[0, 0, :8, :8] = mask[1, 0, :8, :8] = True
    attention = torch.zeros(3, 1, 8, 8)
    attention[0, 0, 0, 1] = 1  # beside the tumor: within the dilated mask
    attention[1, 0, 7, 7] = 1
    attention[2, 0, 4, 4] = 1
    assert attention_outside(attention[:1], mask[:1]) == 0
    assert attention_outside(attention[1:2], mask[1:2]) == 1
    assert attention_outside(attention, mask) == 0.5
