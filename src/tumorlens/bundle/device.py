"""Where ONNX Runtime runs graphs: on the processor, or on an NVIDIA GPU that answers alike."""

import logging
import os
from enum import StrEnum
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tumorlens.ensemble import sigmoid
from tumorlens.errors import TumorlensError
from tumorlens.judgement import Judgement

VARIABLE = "TUMORLENS_DEVICE"
TYPE_TOLERANCE = 0.05  # of a type's probability
PIXEL_TOLERANCE = 0.01  # of a pixel's probability, on average over a slice
_LOG = logging.getLogger("tumorlens")


class Device(StrEnum):
    """What a graph runs on."""

    CPU = "cpu"
    CUDA = "cuda"


def wanted_device() -> Device:
    """As ``TUMORLENS_DEVICE`` says: ``cpu``, ``cuda``, or ``auto``, which is an NVIDIA GPU if there is one.

    Raises:
        TumorlensError: It says something else, or ``cuda`` where ONNX Runtime can't use it.
    """
    told = os.environ.get(VARIABLE, "auto").strip().lower() or "auto"
    if told not in ("auto", *Device):
        raise TumorlensError(f"{VARIABLE}: expected auto, {', '.join(Device)}, got {told}")
    can = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if told == Device.CUDA and not can:
        raise TumorlensError(
            f"{VARIABLE}=cuda needs ONNX Runtime for GPUs: pip uninstall onnxruntime, then "
            "pip install onnxruntime-gpu"
        )
    return Device.CUDA if can and told != Device.CPU else Device.CPU


def providers(device: Device) -> list[Any]:
    """ONNX Runtime's names for a device and its options, and for the processor, which does what it can't."""
    cuda = [("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})]
    return [*(cuda if device is Device.CUDA else []), "CPUExecutionProvider"]


def comparison_slices(size: int) -> NDArray[np.float32]:
    """Two slices (2, 1, size, size) in [0, 1] on which devices are compared: a head with a bright spot."""
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    head = 0.3 * ((rows / 0.45) ** 2 + (columns / 0.36) ** 2 < 1)
    texture = 0.04 * np.sin(40 * rows) * np.cos(31 * columns)
    spots = [((rows - y) ** 2 + (columns - x) ** 2 < 0.008) * 0.6 for y, x in ((-0.1, 0.15), (0.12, -0.05))]
    return np.stack([(head + texture * (head > 0) + spot).clip(0, 1) for spot in spots])[:, None].astype("f")


def differ(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> str | None:
    """How two devices' outputs, by name, differ by more than they may; None where they are alike.

    A sum in another order, or a number rounded to 8 bits the other way, changes single pixels at an outline's
    edge; a type's probability may differ by 0.05, a pixel's by 0.01 on average over a slice.
    """
    if not all(np.isfinite(values).all() for values in other.values()):
        return "it says NaN or infinity"
    apart = {}
    if "class_logits" in one:
        types = [Judgement().probabilities(out["class_logits"]) for out in (one, other)]
        apart["class_logits"] = np.abs(types[0] - types[1]).max(), TYPE_TOLERANCE
    if "mask_logits" in one:
        pixels = np.abs(sigmoid(one["mask_logits"]) - sigmoid(other["mask_logits"]))
        apart["mask_logits"] = pixels.mean(axis=(1, 2)).max(), PIXEL_TOLERANCE
    for name, (difference, limit) in apart.items():
        if difference > limit:
            return f"probabilities from {name} differ by {difference:.3f}, expected at most {limit:g}"
    return None


def say_slower(file: str, reason: str) -> None:
    """Log that a graph stays on the processor."""
    _LOG.warning("%s: runs on the processor, since on the GPU %s", file, reason)
