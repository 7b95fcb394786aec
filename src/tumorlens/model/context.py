"""Context at the coarsest level: every place of the slice sees every other, such as the other hemisphere."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class GlobalContext(nn.Module):
    """Transformer layers over the positions of a feature map, added to it (Vaswani et al. 2017).

    Args:
        channels: Of the feature map.
        layers: How many transformer layers.
        width: Channels inside them.
        side: Height and width that the learned positions are for; other sizes interpolate them.
    """

    def __init__(self, channels: int, layers: int = 2, width: int = 192, side: int = 7) -> None:
        super().__init__()
        self.into = nn.Conv2d(channels, width, 1)
        self.positions = nn.Parameter(torch.randn(1, width, side, side) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, nhead=6, dim_feedforward=2 * width, dropout=0.1, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.out = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.out.weight)  # training starts from the features as they are

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, rows, columns) to the same shape."""
        rows, columns = x.shape[2:]
        positions: Tensor = self.positions
        if (rows, columns) != tuple(positions.shape[2:]):
            positions = functional.interpolate(positions, size=(rows, columns), mode="bilinear")
        tokens = (self.into(x) + positions).flatten(2).transpose(1, 2)
        for layer in self.layers:
            tokens = layer(tokens)
        context = tokens.transpose(1, 2).unflatten(2, (rows, columns))
        return x + self.out(context)  # type: ignore[no-any-return]
