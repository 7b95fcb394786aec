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
