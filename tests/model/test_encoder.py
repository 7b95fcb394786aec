"""RGB encoders read gray slices as they were told to."""

import pytest
import timm
import torch
from torch import nn

from tumorlens.model import AttentionUNet, TumorClassifier
from tumorlens.model.encoder import GrayInput, last_block
from tumorlens.model.weights import EncoderWeights


def rgb_weights(encoder: str) -> EncoderWeights:
    torch.manual_seed(0)
    return EncoderWeights(timm.create_model(encoder).state_dict(), "a test", "0")


def first_convolution(network: nn.Module) -> torch.Tensor:
    return next(module.weight for module in network.modules() if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize(
    ("encoder", "name"), [("resnet10t", "conv1.0"), ("tf_efficientnet_lite0", "conv_stem")]
)
@pytest.mark.parametrize("kind", [AttentionUNet, TumorClassifier])
def test_average_is_the_mean_over_rgb(
    kind: type[AttentionUNet | TumorClassifier], encoder: str, name: str
) -> None:
    weights = rgb_weights(encoder)
    network = kind(encoder, gray=GrayInput.AVERAGE, weights=weights)
    red, green, blue = weights.state[f"{name}.weight"].unbind(1)
    torch.testing.assert_close(
        first_convolution(network)[:, 0], (red + green + blue) / 3, rtol=1e-6, atol=1e-8
    )


def test_average_feeds_the_slice_as_it_is() -> None:
    x = torch.rand(1, 1, 8, 8)
    assert torch.equal(AttentionUNet("test_resnet", (4,), GrayInput.AVERAGE).input(x), x)


def test_replicate_computes_what_the_rgb_encoder_does_on_three_equal_channels() -> None:
    encoder = "tf_efficientnet_lite0"
    weights = rgb_weights(encoder)
    gray = AttentionUNet(encoder, (8,), GrayInput.REPLICATE, weights).eval()
    colored = timm.create_model(encoder, features_only=True).eval()
    colored.load_state_dict(weights.state, strict=False)
    config = timm.get_pretrained_cfg(encoder)
    assert config is not None
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (config.mean, config.std))
    x = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        pairs = zip(gray.encoder(gray.input(x)), colored((x.expand(-1, 3, -1, -1) - mean) / std), strict=True)
        for ours, theirs in pairs:
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.parametrize("encoder", ["resnet10t", "mobilenetv3_small_050", "densenet121"])
@pytest.mark.parametrize("gray", GrayInput)
def test_every_tensor_of_the_u_net_s_encoder_comes_from_the_weights(encoder: str, gray: GrayInput) -> None:
    weights = rgb_weights(encoder)
    loaded = AttentionUNet(encoder, (8,), gray, weights).encoder.state_dict()
    torch.manual_seed(1)
    assert loaded.keys() == AttentionUNet(encoder, (8,), gray).encoder.state_dict().keys()
    stored = [tensor for tensor in weights.state.values() if tensor.ndim and tensor.numel() > 1]
    for name, tensor in loaded.items():
        if tensor.ndim == 4 and tensor.shape[1] > 1:
            assert any(tensor.shape == other.shape and torch.equal(tensor, other) for other in stored), name


def test_last_block_of_a_resnet_is_its_fourth_layer() -> None:
    encoder = AttentionUNet("resnet10t", (8,)).encoder
    [block] = last_block(encoder)
    assert block is encoder.get_submodule("layer4")


def test_last_block_of_an_efficientnet_has_all_behind_it() -> None:
    encoder = TumorClassifier("tf_efficientnet_lite0").encoder
    block = last_block(encoder)
    assert block[0] is encoder.get_submodule("blocks.6")
    assert encoder.get_submodule("conv_head") in block
    assert encoder.get_submodule("bn2") in block


@pytest.mark.parametrize("encoder", ["xception41", "mobilenetv3_small_050", "test_resnet"])
def test_last_block_is_a_real_part_and_not_the_whole(encoder: str) -> None:
    network = AttentionUNet(encoder, (8,)).encoder
    inside = {id(weight) for block in last_block(network) for weight in block.parameters()}
    assert 0 < len(inside) < len(list(network.parameters()))
