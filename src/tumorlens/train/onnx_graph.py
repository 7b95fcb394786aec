"""From a trained network to an ONNX graph, and to smaller ones."""

import logging
import re
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from tumorlens.bundle.manifest import Output
from tumorlens.train.streamline import streamlined

OPSET = 20
_BLOCK = re.compile(r"network\.(decoder\.\d+\.block|type_block)\..*weight")
_ENCODER = "network.encoder."
_POINTWISE_WEIGHTS = 50_000  # fewer: an encoder's fine levels, which 8 bits harm and hardly speed up
_STORED_IN_FULL = 1024  # elements; smaller tensors gain nothing from 16 bits


class _Graph(nn.Module):
    """A network with the outputs of a graph, in the order of `graph_outputs`."""

    def __init__(self, network: nn.Module, task: str) -> None:
        super().__init__()
        self.network = network
        self.task = task

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        given = self.network(image)
        if self.task == "joint":
            return given.mask_logits[:, 0], given.class_logits, given.class_maps
        return (given[:, 0],) if self.task == "segmentation" else (given,)


def graph_outputs(task: str) -> tuple[Output, ...]:
    """What the graph of a task's network hands out."""
    return {
        "joint": (Output.MASK_LOGITS, Output.CLASS_LOGITS, Output.CLASS_MAPS),
        "segmentation": (Output.MASK_LOGITS,),
        "classification": (Output.CLASS_LOGITS,),
    }[task]


def to_onnx(network: nn.Module, task: str, size: int) -> onnx.ModelProto:
    """Export a network: input ``image`` (n, 1, size, size) in [0, 1], any n, outputs by name.

    Args:
        network: Trained, in evaluation mode.
        task: Of its recipe.
        size: Width and height of its input in pixels.
    """
    attention_shortcut = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # ONNX knows no fused transformer layer
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _Graph(network, task).eval(),
                (torch.rand(2, 1, size, size),),
                input_names=["image"],
                output_names=[str(name) for name in graph_outputs(task)],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    finally:
        torch.backends.mha.set_fastpath_enabled(attention_shortcut)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    if program is None:
        raise RuntimeError("expected an ONNX program from the exporter, got none")
    model: onnx.ModelProto = program.model_proto
    for node in model.graph.node:  # where the source lay and how it was called is nobody's business
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    return streamlined(model)


def in_16_bits(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its large weights stored in 16 bits and widened when it is loaded."""
    small = onnx.ModelProto()
    small.CopyFrom(model)
    graph = small.graph
    casts = []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < _STORED_IN_FULL:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        stored = f"{tensor.name}_16"
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), stored))
        graph.initializer.remove(tensor)
        casts.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(small)
    return small


class _Slices(CalibrationDataReader):  # type: ignore[misc] # onnxruntime ships no types
    def __init__(self, images: Iterable[NDArray[np.float32]]) -> None:
        self._batches = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self._batches, None)
        return None if image is None else {"image": image[None, None]}


def in_8_bits(model: onnx.ModelProto, images: Iterable[NDArray[np.float32]]) -> onnx.ModelProto:
    """The same graph with most of its work in 8-bit integers, ranges taken from training slices.

    That is the blocks of its decoder and of the head that names, and the pointwise convolutions of the
    encoder's coarse levels, which hold most weights. The rest stays in 32 bits: in 8 bits the first stages of
    an encoder of depthwise convolutions cost a tenth of Dice. Weights are quantised by channel.

    Args:
        model: In 32 bits.
        images: Training slices (size, size) in [0, 1], a hundred or so.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, ready, target = (Path(folder) / name for name in ("a.onnx", "b.onnx", "c.onnx"))
        onnx.save(model, source)
        quant_pre_process(source, ready, skip_symbolic_shape=True)
        nodes = _fit_for_8_bits(onnx.load(ready))
        if not nodes:
            return model
        quantize_static(
            ready,
            target,
            _Slices(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_quantize=nodes,
        )
        return streamlined(onnx.load(target))


def _fit_for_8_bits(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions of all blocks behind the encoder, and of its own large pointwise ones.

    And of the ReLUs behind them, which then need no calculation: the integers end at 0.
    """
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}

    def is_large_and_pointwise(name: str) -> bool:
        dims = weights.get(name, ())
        return name.startswith(_ENCODER) and dims[2:] == (1, 1) and dims[0] * dims[1] >= _POINTWISE_WEIGHTS

    convolutions = [
        node
        for node in model.graph.node
        if node.op_type == "Conv"
        and (_BLOCK.fullmatch(node.input[1]) or is_large_and_pointwise(node.input[1]))
    ]
    said = {node.output[0] for node in convolutions}
    behind = [node for node in model.graph.node if node.op_type == "Relu" and node.input[0] in said]
    return [node.name for node in (*convolutions, *behind)]
