"""The attention U-Net that outlines the tumor: a timm encoder, gated skips, one logit a pixel."""

import itertools
from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from tumorlens.errors import TumorlensError
from tumorlens.model.attention import AttentionGate
from tumorlens.model.encoder import GrayInput, check_encoder_name, check_input, input_layer, to_gray
from tumorlens.model.weights import EncoderWeights


class ConvBlock(nn.Sequential):
    """Two 3 × 3 convolutions, each with batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class DecoderStep(nn.Module):
    """Upsample by two, gate the encoder's features of that size by attention, join both."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.attention = (
            AttentionGate(in_channels, skip_channels, max(skip_channels // 2, 1)) if skip_channels else None
        )
        self.block = ConvBlock(in_channels + skip_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """(n, in_channels, r, c) and (n, skip_channels, 2r, 2c) to (n, out_channels, 2r, 2c)."""
        x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        if self.attention is not None and skip is not None:
            x = torch.cat([x, self.attention(x, skip)], dim=1)
        return self.block(x)  # type: ignore[no-any-return]


class AttentionUNet(nn.Module):
    """U-Net with any timm encoder and attention gates on its skips.

    Args:
        encoder: Name of a timm model that hands out feature maps.
        decoder_channels: Channels after each decoder step, deepest first. As many steps as the encoder has
            halvings bring the features to the input's size; with fewer, the logits are interpolated.
        gray: How the encoder reads one gray channel.
        weights: The encoder's pretrained weights; None starts at random.

    Raises:
        TumorlensError: timm doesn't know the encoder, it has no pyramid of feature maps, or the weights don't
            fit it.
    """

    def __init__(
        self,
        encoder: str = "resnet50",
        decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
        gray: GrayInput = GrayInput.AVERAGE,
        weights: EncoderWeights | None = None,
    ) -> None:
        super().__init__()
        check_encoder_name(encoder)
        self.input = input_layer(encoder, gray)
        self.encoder, channels, reductions = _feature_pyramid(encoder)
        if weights is not None:
            weights.load_into(self.encoder, lambda state: to_gray(state, encoder, gray))
        self.multiple, self.deepest_channels = reductions[-1], channels[-1]
        skips = channels[-2::-1] + [0] * (reductions[0] // 2)
        if not 1 <= len(decoder_channels) <= len(skips):
            raise TumorlensError(
                f"decoder_channels: expected 1 to {len(skips)} steps for the encoder {encoder}, "
                f"got {len(decoder_channels)}"
            )
        inputs = [channels[-1], *decoder_channels[:-1]]
        self.decoder = nn.ModuleList(
            DecoderStep(*widths) for widths in zip(inputs, skips, decoder_channels, strict=False)
        )
        self.head = nn.Conv2d(decoder_channels[-1], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """A batch (n, 1, rows, columns) in [0, 1] to mask logits of the same shape."""
        deepest, skips = self.encode(x)
        return self.outline(self.decode(deepest, skips)[-1], x)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The encoder's deepest features of a batch, and the others with the deepest of them last."""
        check_input(x, self.multiple)
        *skips, deepest = self.encoder(self.input(x))
        return deepest, skips

    def decode(self, deepest: Tensor, skips: list[Tensor]) -> list[Tensor]:
        """The deepest features, then those after each decoder step."""
        steps = [deepest]
        for number, step in enumerate(self.decoder, start=1):
            steps.append(step(steps[-1], skips[-number] if number <= len(skips) else None))
        return steps

    def outline(self, features: Tensor, x: Tensor) -> Tensor:
        """The last step's features to mask logits of the batch's own size."""
        return functional.interpolate(
            self.head(features), size=x.shape[2:], mode="bilinear", align_corners=False
        )


def _feature_pyramid(name: str) -> tuple[nn.Module, list[int], list[int]]:
    """An encoder with the channels and the reductions (2 for half the size) of its feature maps."""
    try:
        encoder: Any = timm.create_model(name, features_only=True, in_chans=1)
    except (RuntimeError, AssertionError, AttributeError, TypeError) as error:
        raise TumorlensError(
            f"encoder {name}: expected one with a pyramid of feature maps ({error})"
        ) from error
    channels, reductions = encoder.feature_info.channels(), encoder.feature_info.reduction()
    if reductions[0] not in (1, 2) or any(b != 2 * a for a, b in itertools.pairwise(reductions)):
        raise TumorlensError(
            f"encoder {name}: expected feature maps that halve step by step from 1 or 1/2, got 1/{reductions}"
        )
    return encoder, channels, reductions
