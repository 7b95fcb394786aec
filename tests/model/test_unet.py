"""The attention U-Net gives a logit a pixel, whatever encoder it stands on."""

import pytest
import torch
from torch import nn

from tumorlens.errors import TumorlensError
from tumorlens.model import AttentionUNet
from tumorlens.model.unet import DecoderStep

ENCODERS = ["resnet10t", "tf_efficientnet_lite0", "mobilenetv3_small_050"]


@pytest.mark.parametrize("steps", [1, 4, 5])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_logits_have_the_input_s_size(encoder: str, steps: int) -> None:
    network = AttentionUNet(encoder, (16, 12, 8, 8, 4)[:steps]).eval()
    with torch.inference_mode():
        assert network(torch.rand(2, 1, 64, 96)).shape == (2, 1, 64, 96)


def test_a_slice_s_logits_do_not_depend_on_the_rest_of_its_batch() -> None:
    network = AttentionUNet("resnet10t", (16, 8)).eval()
    batch = torch.rand(3, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(batch)[1:2], network(batch[1:2]), rtol=1e-4, atol=1e-5)


def test_every_weight_takes_part() -> None:
    network = AttentionUNet("resnet10t", (16, 12, 8, 8, 4))
    network(torch.rand(2, 1, 64, 64)).square().sum().backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert without == []


@pytest.mark.parametrize(
    ("shape", "named"),
    [
        ((1, 1, 50, 64), "pad the slices to 64 × 64"),
        ((1, 1, 64, 65), "pad the slices to 64 × 96"),
        ((1, 3, 64, 64), r"\(n, 1, rows, columns\), got shape \(1, 3, 64, 64\)"),
        ((1, 64, 64), r"got shape \(1, 64, 64\)"),
    ],
)
def test_an_unfit_batch_is_told_what_would_fit(shape: tuple[int, ...], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        AttentionUNet("resnet10t", (8,))(torch.zeros(shape))


def test_a_misspelt_encoder_is_told_its_nearest_neighbour() -> None:
    with pytest.raises(TumorlensError, match=r"'resnet5O'.*resnet50"):
        AttentionUNet("resnet5O")


def test_an_unknown_pretrained_tag_is_refused() -> None:
    with pytest.raises(TumorlensError, match="nonexistent"):
        AttentionUNet("resnet10t.nonexistent")


@pytest.mark.parametrize("encoder", ["test_vit", "convnext_atto"])
def test_an_encoder_without_a_fitting_pyramid_is_refused(encoder: str) -> None:
    with pytest.raises(TumorlensError, match=f"encoder {encoder}: expected"):
        AttentionUNet(encoder)


@pytest.mark.parametrize("steps", [0, 6])
def test_a_decoder_with_too_few_or_too_many_steps_is_refused(steps: int) -> None:
    with pytest.raises(TumorlensError, match=f"expected 1 to 5 steps for the encoder resnet10t, got {steps}"):
        AttentionUNet("resnet10t", (8,) * steps)


def test_a_decoder_step_does_not_shift_the_picture() -> None:
    """With kernels that are their own mirror image, a step commutes with mirroring and transposing."""
    torch.manual_seed(0)
    step = DecoderStep(3, 4, 5).eval()
    with torch.no_grad():
        for module in step.modules():
            if isinstance(module, nn.Conv2d):
                kernel = module.weight + module.weight.flip(-1)
                kernel = kernel + kernel.flip(-2)
                module.weight.copy_(kernel + kernel.transpose(-1, -2))
    x, skip = torch.rand(1, 3, 6, 6), torch.rand(1, 4, 12, 12)
    with torch.inference_mode():
        straight = step(x, skip)
        torch.testing.assert_close(step(x.flip(-1), skip.flip(-1)), straight.flip(-1))
        torch.testing.assert_close(step(x.flip(-2), skip.flip(-2)), straight.flip(-2))
        torch.testing.assert_close(step(x.mT, skip.mT), straight.mT)


def test_features_and_logits_are_enlarged_about_pixel_centers() -> None:
    """A ramp stays the same ramp: pixel i of the large one lies at (i + 0.5) / factor - 0.5 of the small."""
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    step = DecoderStep(1, 0, 1)
    step.block = nn.Identity()  # type: ignore[assignment]
    doubled = (torch.arange(16) + 0.5) / 2 - 0.5
    torch.testing.assert_close(step(ramp, None)[0, 0, :, 1:-1], doubled[1:-1].expand(16, -1))

    class Ramp(nn.Module):
        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [ramp]

    network = AttentionUNet("test_resnet", (4,))
    network.encoder, network.decoder, network.head = Ramp(), nn.ModuleList(), nn.Identity()  # type: ignore[assignment]
    enlarged = (torch.arange(32) + 0.5) / 4 - 0.5
    torch.testing.assert_close(
        network(torch.zeros(1, 1, 32, 32))[0, 0, :, 2:-2], enlarged[2:-2].expand(32, -1)
    )
