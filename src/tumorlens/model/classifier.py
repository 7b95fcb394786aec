"""The classifier that names the tumor: a timm encoder with a new head."""

from typing import Any

import timm
from torch import Tensor, nn

from tumorlens.model.encoder import GrayInput, check_encoder_name, input_layer, to_gray
from tumorlens.model.weights import EncoderWeights
from tumorlens.tumor_type import TumorType


class TumorClassifier(nn.Module):
    """Any timm model with its head replaced for the three tumor types.

    Args:
        encoder: Name of a timm model.
        dropout: Probability of dropping a pooled feature before the head, in training.
        gray: How the encoder reads one gray channel.
        weights: The encoder's pretrained weights; None starts at random.

    Raises:
        TumorlensError: timm doesn't know the encoder, or the weights don't fit it.
    """

    def __init__(
        self,
        encoder: str = "resnet50",
        dropout: float = 0.0,
        gray: GrayInput = GrayInput.AVERAGE,
        weights: EncoderWeights | None = None,
    ) -> None:
        super().__init__()
        check_encoder_name(encoder)
        self.input = input_layer(encoder, gray)
        headless: Any = timm.create_model(encoder, in_chans=1, num_classes=0)
        self.encoder: nn.Module = headless
        if weights is not None:
            weights.load_into(self.encoder, lambda state: to_gray(state, encoder, gray))
        self.dropout = nn.Dropout(dropout)
        pooled = getattr(headless, "head_hidden_size", headless.num_features)  # some widen behind the pooling
        self.head = nn.Linear(pooled, len(TumorType))

    def forward(self, x: Tensor) -> Tensor:
        """A batch (n, 1, rows, columns) in [0, 1] to class logits (n, 3)."""
        if x.ndim != 4 or x.shape[1] != 1:
            raise ValueError(f"expected a batch (n, 1, rows, columns), got shape {tuple(x.shape)}")
        return self.head(self.dropout(self.encoder(self.input(x))))  # type: ignore[no-any-return]
