"""A GPU is used where there is one that says what the processor says, and only there."""

import logging
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.bundle.small import GRAPH, SIZE, graph_model
from tumorlens.bundle import device, session
from tumorlens.bundle.device import Device
from tumorlens.bundle.manifest import Graph, Output
from tumorlens.bundle.session import OnnxModel
from tumorlens.bundle.write import member
from tumorlens.errors import TumorlensError

HERE = ["CPUExecutionProvider"]


class Gpu:
    """A session that says it runs on a GPU, whatever it runs on."""

    def __init__(self, inner: Any, change: float, names: tuple[str, ...]) -> None:
        self._inner, self._change, self._names, self.runs = inner, change, names, 0

    def run(self, names: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.runs += 1
        told = self._inner.run(names, given)
        return [
            out + np.float32(self._change) * (name in self._names)
            for name, out in zip(names, told, strict=True)
        ]

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", *HERE]


def with_gpu(monkeypatch: pytest.MonkeyPatch, gpu: Any) -> None:
    """A machine whose runtime can use a GPU; ``gpu`` makes its session from the processor's."""
    honest = session._session
    monkeypatch.delenv(device.VARIABLE, raising=False)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", *HERE])

    def made(data: bytes, file: str, threads: int, where: Device = Device.CPU) -> Any:
        inner = honest(data, file, threads)
        return gpu(inner) if where is Device.CUDA else inner

    monkeypatch.setattr(session, "_session", made)


def opened() -> OnnxModel:
    data = graph_model().SerializeToString()
    graph = Graph(**member(GRAPH, data).model_dump(), outputs=tuple(Output), recipe={})
    return OnnxModel(data, graph, SIZE)


def test_a_gpu_that_says_the_same_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Gpu] = []

    def gpu(inner: Any) -> Gpu:
        made.append(Gpu(inner, 0.01, ("class_logits",)))
        return made[-1]

    with_gpu(monkeypatch, gpu)
    model = opened()
    before = made[0].runs
    model(np.zeros((1, 1, SIZE, SIZE), np.float32))
    assert (len(made), made[0].runs) == (1, before + 1)


@pytest.mark.parametrize(
    ("change", "names", "said"),
    [
        (np.nan, ("class_logits",), "NaN"),
        (9.0, ("mask_logits",), "mask_logits differ by"),
    ],
)
def test_a_gpu_that_says_something_else_is_not_used_and_that_is_told(
    change: float,
    names: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = opened()(device.comparison_slices(SIZE))
    with_gpu(monkeypatch, lambda inner: Gpu(inner, change, names))
    with caplog.at_level(logging.WARNING, "tumorlens"):
        told = opened()(device.comparison_slices(SIZE))
    assert said in caplog.text
    assert (told.mask_logits == expected.mask_logits).all()


def test_types_that_swing_are_told() -> None:
    logits = {"class_logits": np.float32([[2, 0, 0]])}
    assert device.differ(logits, {"class_logits": np.float32([[2.2, 0, 0]])}) is None
    assert "class_logits differ by" in str(device.differ(logits, {"class_logits": np.float32([[1, 0, 0]])}))


def test_a_gpu_that_cannot_run_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("CUDA failure 35: driver too old\nand more")

    for gpu, said in ((broken, "driver too old"), (lambda inner: inner, "CUDA or cuDNN is missing")):
        with monkeypatch.context() as patch:
            with_gpu(patch, gpu)
            with caplog.at_level(logging.WARNING, "tumorlens"):
                opened()(np.zeros((1, 1, SIZE, SIZE), np.float32))
        assert said in caplog.text
        assert "and more" not in caplog.text


def test_the_processor_is_used_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(monkeypatch, lambda _: pytest.fail("the GPU was asked"))
    monkeypatch.setenv(device.VARIABLE, "cpu")
    opened()


@pytest.mark.parametrize(
    ("told", "said"), [("cuda", "pip install onnxruntime-gpu"), ("tpu", "expected auto, cpu, cuda, got tpu")]
)
def test_a_device_that_is_not_there_is_refused_in_a_sentence(
    told: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(device.VARIABLE, told)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: HERE)
    with pytest.raises(TumorlensError, match=said):
        opened()
