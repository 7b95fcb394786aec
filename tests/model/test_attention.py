"""The attention gate is Oktay's."""

import numpy as np
import torch

from tumorlens.model.attention import AttentionGate


def test_gate_equals_oktays_formula_computed_pixel_by_pixel() -> None:
    torch.manual_seed(0)
    module = AttentionGate(gate_channels=3, skip_channels=4, inner_channels=2).double()
    g, x = torch.randn(2, 3, 5, 6).double(), torch.randn(2, 4, 5, 6).double()
    w_g, b_g = module.gate.weight.detach().numpy()[:, :, 0, 0], module.gate.bias.detach().numpy()  # type: ignore[union-attr]
    w_x = module.skip.weight.detach().numpy()[:, :, 0, 0]
    psi, b_psi = module.weigh.weight.detach().numpy()[0, :, 0, 0], module.weigh.bias.item()  # type: ignore[union-attr]
    by_hand = np.empty((2, 4, 5, 6))
    for n, row, column in np.ndindex(2, 5, 6):
        joint = w_x @ x[n, :, row, column].numpy() + w_g @ g[n, :, row, column].numpy() + b_g
        alpha = 1 / (1 + np.exp(-(psi @ np.maximum(joint, 0) + b_psi)))
        by_hand[n, :, row, column] = alpha * x[n, :, row, column].numpy()
    np.testing.assert_allclose(module(g, x).detach().numpy(), by_hand, rtol=1e-12)


def test_one_weight_per_pixel_scales_every_channel_alike() -> None:
    torch.manual_seed(0)
    skip = torch.rand(1, 6, 4, 4) + 0.5
    share = AttentionGate(3, 6, 3)(torch.randn(1, 3, 4, 4), skip) / skip
    torch.testing.assert_close(share, share[:, :1].expand_as(share))
    assert ((share > 0) & (share < 1)).all()
