"""An ONNX graph as a model."""

import threading
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tumorlens.bundle.device import Device, comparison_slices, differ, providers, say_slower, wanted_device
from tumorlens.bundle.manifest import Graph, Output
from tumorlens.ensemble import Outputs
from tumorlens.errors import TumorlensError
from tumorlens.parallel import threads_for_a_call

onnxruntime.disable_telemetry_events()  # where somebody else loaded it before tumorlens could (see __init__)

_OUTSIDE = b"location"  # the key under which ONNX names a file that holds weights
_SILENT = 4  # what is wrong is told in one line, by the error


class OnnxModel:
    """A graph on ONNX Runtime; see `tumorlens.ensemble.Model`. Safe to call from any thread.

    On an NVIDIA GPU where there is one that says what the processor says (`tumorlens.bundle.device`).

    Args:
        data: The graph's bytes; weights outside of them are refused.
        graph: What the manifest says of it.
        size: Width and height of its input in pixels.

    Raises:
        TumorlensError: It isn't an ONNX graph with the input and outputs that the manifest says, or there is
            no such device as was asked for.
    """

    def __init__(self, data: bytes, graph: Graph, size: int) -> None:
        self._data, self._file = data, graph.file
        self._sessions: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._names = [str(name) for name in graph.outputs]
        self._size = size
        self._device = Device.CPU
        self._check()
        if wanted_device() is Device.CUDA:
            self._move_to_gpu()

    @property
    def size(self) -> int:
        """Width and height of the input in pixels."""
        return self._size

    def __call__(self, batch: NDArray[np.float32]) -> Outputs:
        """Run on a batch (n, 1, size, size) in [0, 1].

        Raises:
            TumorlensError: The graph can't be run on it.
        """
        try:
            given = self._session().run(self._names, {"image": batch})
        except Exception as error:  # as in `_session`
            raise TumorlensError(f"{self._file}: expected a graph that runs, but {_reason(error)}") from error
        return Outputs(**dict(zip(self._names, given, strict=True)))

    def _session(self) -> Any:
        """The session with as many threads as a call from here should use; made at first use. One on a GPU.

        One thread a call, and as many calls as cores, look at a tenth more slices a second than all threads
        for each call; a single call takes half the time on two.
        """
        threads = threads_for_a_call() if self._device is Device.CPU else 1
        with self._lock:
            if threads not in self._sessions:
                self._sessions[threads] = _session(self._data, self._file, threads, self._device)
            return self._sessions[threads]

    def _move_to_gpu(self) -> None:
        """Run on the GPU from now on, if it says there what it says here."""
        given = {"image": comparison_slices(self._size)}
        here = dict(zip(self._names, self._session().run(self._names, given), strict=True))
        try:
            session = _session(self._data, self._file, 1, Device.CUDA)
            there = dict(zip(self._names, session.run(self._names, given), strict=True))
            on_gpu = "CUDAExecutionProvider" in session.get_providers()
            reason = differ(here, there) if on_gpu else "it can't run: CUDA or cuDNN is missing"
        except Exception as error:  # a driver that is missing or too old, or too little memory
            reason = _reason(error)
        if reason is not None:
            say_slower(self._file, reason)
            return
        self._device, self._sessions = Device.CUDA, {1: session}

    def _check(self) -> None:
        """Compare with the manifest what the graph takes and, by trying it out, what it hands out."""
        size, file = self._size, self._file
        inputs = {entry.name: entry.shape for entry in self._session().get_inputs()}
        outputs = {entry.name for entry in self._session().get_outputs()}
        if list(inputs) != ["image"] or inputs["image"][1:] != [1, size, size]:
            raise TumorlensError(f"{file}: expected the input image (n, 1, {size}, {size}), got {inputs}")
        missing = [name for name in self._names if name not in outputs]
        if missing:
            raise TumorlensError(
                f"{file}: expected the output {missing[0]}, got {', '.join(sorted(outputs))}"
            )
        told = self(np.zeros((2, 1, size, size), np.float32))
        for name in self._names:
            values, expected = getattr(told, name), _shape(name, size)
            if (
                not isinstance(values, np.ndarray)
                or values.dtype != np.float32
                or not _fits(values, expected)
            ):
                got = f"{values.shape} {values.dtype}" if isinstance(values, np.ndarray) else type(values)
                raise TumorlensError(
                    f"{file}: expected {name} of shape {expected} and float32 for 2 slices, got {got}"
                )


def _shape(name: str, size: int) -> tuple[int | str, ...]:
    """What an output must have for two slices; a word stands for any number."""
    return {
        Output.MASK_LOGITS: (2, size, size),
        Output.CLASS_LOGITS: (2, 3),
        Output.CLASS_MAPS: (2, 3, "rows", "columns"),
    }[Output(name)]


def _fits(values: NDArray[np.generic], expected: tuple[int | str, ...]) -> bool:
    return len(values.shape) == len(expected) and all(
        isinstance(wanted, str) or wanted == given
        for wanted, given in zip(expected, values.shape, strict=True)
    )


def _session(data: bytes, file: str, threads: int, device: Device = Device.CPU) -> Any:
    if _OUTSIDE in data:
        raise TumorlensError(f"{file}: expected a graph with all its weights, got one that names other files")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning starves other calls
    options.add_session_config_entry("session.load_model_format", "ONNX")  # no other is checked as well
    try:
        return onnxruntime.InferenceSession(data, options, providers=providers(device))
    except Exception as error:  # ONNX Runtime's own exceptions share no base but this
        raise TumorlensError(f"{file}: expected a graph for ONNX Runtime, but {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0]
