"""The additive attention gate of Attention U-Net (Oktay et al., MIDL 2018, equations 1 and 2)."""

import torch
from torch import Tensor, nn


class AttentionGate(nn.Module):
    """Weighs an encoder's feature map by where the decoder is looking.

    α = σ₂(ψ(σ₁(W_x x + W_g g))), with σ₁ ReLU and σ₂ the sigmoid; the output is x · α.

    Args:
        gate_channels: Channels of the gating signal g.
        skip_channels: Channels of the encoder's features x.
        inner_channels: Channels of the joint space; half of ``skip_channels`` in the paper's figures.
    """

    def __init__(self, gate_channels: int, skip_channels: int, inner_channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(gate_channels, inner_channels, 1)
        self.skip = nn.Conv2d(skip_channels, inner_channels, 1, bias=False)
        self.weigh = nn.Conv2d(inner_channels, 1, 1)

    def forward(self, gate: Tensor, skip: Tensor) -> Tensor:
        """Gate (n, gate_channels, r, c) and skip (n, skip_channels, r, c) to skip's shape."""
        attention = torch.sigmoid(self.weigh(torch.relu(self.gate(gate) + self.skip(skip))))
        return skip * attention
