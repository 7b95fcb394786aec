"""One network with two heads: it outlines the tumor, names it, and says where the name comes from."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tumorlens.model.context import GlobalContext
from tumorlens.model.encoder import GrayInput
from tumorlens.model.unet import AttentionUNet, ConvBlock
from tumorlens.model.weights import EncoderWeights
from tumorlens.tumor_type import TumorType

_ELSEWHERE = 0.03  # the weight of a place that isn't outlined at all, where one that surely is has 1.03


class JointOutputs(NamedTuple):
    """What the network says about a batch.

    (r, c) is the size after the second decoder step in training, and twice that in use.

    Attributes:
        mask_logits: (n, 1, rows, columns), above 0 on the tumor.
        class_logits: (n, 3).
        class_maps: (n, 3, r, c); their sums over positions are the class logits, but for the head's bias.
        attention: (n, 1, r, c), not negative, sums to 1: where the name comes from.
    """

    mask_logits: Tensor
    class_logits: Tensor
    class_maps: Tensor
    attention: Tensor


class JointNetwork(AttentionUNet):
    """The attention U-Net with a second head that names the tumor from the positions that it attends to.

    The deepest features pass through transformer layers first. The second head joins them with the features
    after the second decoder step, weighs every position (softmax over positions, as in attention-based
    pooling, Ilse et al. 2018), and scores each class there linearly; a class logit is the weighted sum.

    In training the weights must find the tumor by themselves. In use they are brought to twice the rows and
    columns and multiplied by the outlined tumor's probability, so that the name is read from what was
    outlined.

    Args:
        encoder: Name of a timm model that hands out feature maps.
        decoder_channels: Channels after each decoder step, deepest first, at least two.
        gray: How the encoder reads one gray channel.
        weights: The encoder's pretrained weights; None starts at random.
        context_layers: Transformer layers at the coarsest level; 0 for none.
        dropout: Probability of dropping a channel of the second head's features, in training.

    Raises:
        TumorlensError: As `AttentionUNet`.
    """

    def __init__(
        self,
        encoder: str = "tf_efficientnet_lite0",
        decoder_channels: Sequence[int] = (128, 64, 48, 32),
        gray: GrayInput = GrayInput.REPLICATE,
        weights: EncoderWeights | None = None,
        context_layers: int = 2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(encoder, decoder_channels, gray, weights)
        deepest, fine = self.deepest_channels, decoder_channels[1]
        self.context = GlobalContext(deepest, context_layers) if context_layers else nn.Identity()
        self.type_deep = nn.Conv2d(deepest, fine, 1, bias=False)
        self.type_block = ConvBlock(2 * fine, fine)
        self.type_dropout = nn.Dropout2d(dropout)
        self.type_attention = nn.Conv2d(fine, 1, 1)
        self.type_score = nn.Conv2d(fine, len(TumorType), 1, bias=False)
        self.type_bias = nn.Parameter(torch.zeros(len(TumorType)))

    def forward(self, x: Tensor) -> JointOutputs:  # type: ignore[override] # two heads say more than one
        """A batch (n, 1, rows, columns) in [0, 1]."""
        deepest, skips = self.encode(x)
        deepest = self.context(deepest)
        steps = self.decode(deepest, skips)
        fine = steps[2]
        deep = functional.interpolate(self.type_deep(deepest), size=fine.shape[2:], mode="bilinear")
        features = self.type_dropout(self.type_block(torch.cat([deep, fine], dim=1)))
        mask_logits = self.outline(steps[-1], x)
        weights, scores = self.type_attention(features), self.type_score(features)
        if not self.training:
            weights, scores = _twice(weights), _twice(scores)
            rows, columns = weights.shape[2:]
            outlined = functional.adaptive_avg_pool2d(mask_logits.sigmoid(), (rows, columns))
            weights = weights + (outlined + _ELSEWHERE).log()
        attention = weights.flatten(2).softmax(2).unflatten(2, weights.shape[2:])
        class_maps = attention * scores
        class_logits = class_maps.sum((2, 3)) + self.type_bias
        return JointOutputs(mask_logits, class_logits, class_maps, attention)


def _twice(features: Tensor) -> Tensor:
    """Features at twice their rows and columns."""
    return functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
