"""Any timm encoder as the first half of a model that reads one gray channel."""

import difflib
from enum import StrEnum
from typing import Any

import timm
import torch
from torch import Tensor, nn

from tumorlens.errors import TumorlensError
from tumorlens.model.weights import StateDict


class GrayInput(StrEnum):
    """How an encoder made for RGB reads one gray channel in [0, 1].

    ``AVERAGE`` is the paper's way: the first convolution's weights averaged over RGB, the slice fed as it
    is. ``REPLICATE`` computes what the RGB encoder would on three equal channels, normalised as in its
    pretraining: weights summed over RGB, the slice shifted and scaled first. It is exact where the channels
    share a mean and a standard deviation, as EfficientNet-Lite's do; otherwise their averages are used.
    """

    AVERAGE = "average"
    REPLICATE = "replicate"


def check_encoder_name(name: str) -> None:
    """Make sure that timm knows an encoder and can hand out its feature maps.

    Raises:
        TumorlensError: It doesn't; the message names the nearest that it does know.
    """
    if timm.is_model(name):
        try:
            timm.get_pretrained_cfg(name)
        except RuntimeError as error:
            raise TumorlensError(
                f"encoder {name!r}: expected a model and a tag of timm, but {error}"
            ) from error
        return
    near = difflib.get_close_matches(name, timm.list_models(), n=3)
    hint = f"did you mean {', '.join(near)}?" if near else "'timm.list_models()' lists what there is"
    raise TumorlensError(f"encoder {name!r}: expected the name of a timm model; {hint}")


class Normalise(nn.Module):
    """Shift and scale a gray slice: (x − mean) / std, with fixed numbers."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, rows, columns) to the same shape."""
        return (x - self.mean) / self.std


def input_layer(name: str, gray: GrayInput) -> nn.Module:
    """What a slice passes through before the encoder."""
    if gray is GrayInput.AVERAGE:
        return nn.Identity()
    config = timm.get_pretrained_cfg(name)
    mean, std = (config.mean, config.std) if config else ((0.5,), (0.5,))
    return Normalise(sum(mean) / len(mean), sum(std) / len(std))


def to_gray(state: StateDict, encoder: str, gray: GrayInput) -> StateDict:
    """Turn an RGB encoder's weights into those of a gray one.

    Args:
        state: The encoder's weights; the first convolution's are (filters, 3, height, width).
        encoder: Name of the timm model, which knows its first convolution.
        gray: Whether the three channels are averaged or summed.

    Returns:
        A copy with the first convolution at (filters, 1, height, width).
    """
    config = timm.get_pretrained_cfg(encoder)
    key = f"{config.first_conv if config else 'conv1'}.weight"
    if key not in state:
        return dict(state)  # loading names what is missing
    weights = state[key].float()
    if weights.shape[1] == 3:
        gathered = (
            weights.mean(1, keepdim=True) if gray is GrayInput.AVERAGE else weights.sum(1, keepdim=True)
        )
        return {**state, key: gathered}
    return dict(state)


def check_input(x: Tensor, multiple: int) -> None:
    """Make sure that a batch fits an encoder that halves its input several times.

    Raises:
        ValueError: The batch isn't (n, 1, rows, columns) with rows and columns multiples of ``multiple``;
            the message names the padded size that would do.
    """
    if x.ndim != 4 or x.shape[1] != 1:
        raise ValueError(f"expected a batch (n, 1, rows, columns), got shape {tuple(x.shape)}")
    rows, columns = x.shape[2:]
    if rows % multiple or columns % multiple:
        fit = tuple(-(-side // multiple) * multiple for side in (rows, columns))
        raise ValueError(
            f"expected rows and columns that are multiples of {multiple}, got {rows} × {columns}; "
            f"pad the slices to {fit[0]} × {fit[1]}"
        )


def last_block(encoder: nn.Module) -> list[nn.Module]:
    """An encoder's last stage of blocks and whatever comes behind it, such as ``layer4`` of a ResNet.

    Raises:
        TumorlensError: The encoder tells no stages.
    """
    info: Any = getattr(encoder, "feature_info", None)
    if not info:
        raise TumorlensError("trainable: expected an encoder with stages to freeze all but the last block")
    name = str(info[-1]["module"] if isinstance(info, list) else info.module_name()[-1])
    if name.replace(".", "_") in dict(encoder.named_children()):
        name = name.replace(".", "_")
    children = [child for child, _ in encoder.named_children()]
    behind = children[children.index(name.partition(".")[0]) + 1 :]
    block = [encoder.get_submodule(part) for part in (name, *behind)]
    if not any(weight.ndim > 1 for part in block for weight in part.parameters()):
        raise TumorlensError(f"trainable: expected a last block with weights, but {name} has none; train all")
    return block
