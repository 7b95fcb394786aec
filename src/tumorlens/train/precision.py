"""How many bits training calculates with."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn


def resolve_precision(wanted: str) -> str:
    """Lightning's name for a recipe's ``precision``; ``auto`` depends on the machine."""
    if wanted == "auto":
        if not torch.cuda.is_available():
            return "32-true"
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    return {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}[wanted]


def keep_depthwise_in_32_bits(network: nn.Module) -> None:
    """Make the depthwise convolutions of a network ignore autocast.

    On a CPU their backward pass takes two to three times as long in bfloat16 as in 32 bits, while everything
    else gains from bfloat16.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.forward = functools.partial(_in_32_bits, module.forward)  # type: ignore[method-assign]


def _in_32_bits(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return forward(x.float()).to(x.dtype)
