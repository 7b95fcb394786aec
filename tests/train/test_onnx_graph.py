"""A graph says what its network says, at any precision, and nothing of where it was made."""

import math
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import tumorlens
from tests.train.tiny import SIZE
from tumorlens.bundle.manifest import Graph, Output
from tumorlens.bundle.session import OnnxModel
from tumorlens.bundle.write import member
from tumorlens.dataset import TumorDataset
from tumorlens.dataset.prepared import prepare_dataset
from tumorlens.ensemble import Outputs
from tumorlens.judgement import Judgement
from tumorlens.train import onnx_graph
from tumorlens.train.inference import RunModel
from tumorlens.train.onnx_graph import graph_outputs, in_8_bits, in_16_bits
from tumorlens.train.run import Run


def loaded(model: onnx.ModelProto, task: str) -> OnnxModel:
    data = model.SerializeToString()
    graph = Graph(**member("g.onnx", data).model_dump(), outputs=graph_outputs(task), recipe={})
    return OnnxModel(data, graph, SIZE)


def slices(dataset: TumorDataset, count: int) -> np.ndarray:
    return np.array(prepare_dataset(dataset, SIZE).images[:count])[:, None]


def largest_difference(one: Outputs, other: Outputs) -> float:
    """Of any probability, of a pixel or a type."""
    differences = []
    if one.mask_logits is not None:
        pixels = [1 / (1 + np.exp(-np.asarray(told.mask_logits))) for told in (one, other)]
        differences.append(np.abs(pixels[0] - pixels[1]).max())
    if one.class_logits is not None:
        types = [Judgement().probabilities(np.asarray(told.class_logits)) for told in (one, other)]
        differences.append(np.abs(types[0] - types[1]).max())
    return float(max(differences))


@pytest.mark.parametrize("task", ["joint", "segmentation", "classification"])
@pytest.mark.parametrize("count", [1, 5])
def test_a_graph_says_what_its_network_says_for_any_number_of_slices(
    task: str, count: int, runs: dict[str, Run], graphs: dict[str, onnx.ModelProto], tiny: TumorDataset
) -> None:
    batch = slices(tiny, count)
    told, expected = loaded(graphs[task], task)(batch), RunModel(runs[task])(batch)
    assert largest_difference(told, expected) < 1e-5
    for name in Output:
        mine, theirs = getattr(told, name), getattr(expected, name)
        assert (mine is None) == (theirs is None) == (name not in graph_outputs(task))
        assert mine is None or mine.shape == theirs.shape
    if task == "joint":
        assert told.class_maps == pytest.approx(expected.class_maps, abs=1e-4)


def test_a_graph_names_its_input_and_outputs(graphs: dict[str, onnx.ModelProto]) -> None:
    for task, model in graphs.items():
        assert [value.name for value in model.graph.input] == ["image"]
        assert [value.name for value in model.graph.output] == list(map(str, graph_outputs(task)))
        [batch, *rest] = model.graph.input[0].type.tensor_type.shape.dim
        assert batch.dim_param
        assert not batch.dim_value
        assert [dimension.dim_value for dimension in rest] == [1, SIZE, SIZE]


def test_a_graph_tells_nothing_of_the_machine_that_made_it(graphs: dict[str, onnx.ModelProto]) -> None:
    places = [
        str(Path(tumorlens.__file__).parents[2]),
        str(Path.home()),
        sys.prefix,
        "site-packages",
        ".py",
        "/torch/",
    ]
    for model in graphs.values():
        for data in (model, in_16_bits(model)):
            for place in places:
                assert place.encode() not in data.SerializeToString(), place


def test_exporting_leaves_pytorch_as_it_was(runs: dict[str, Run], graphs: dict[str, onnx.ModelProto]) -> None:
    assert torch.backends.mha.get_fastpath_enabled()


def test_16_bits_halve_a_graph_and_say_nearly_the_same(
    graphs: dict[str, onnx.ModelProto], tiny: TumorDataset
) -> None:
    batch = slices(tiny, 5)
    for task, model in graphs.items():
        before = model.SerializeToString()
        small = in_16_bits(model)
        assert model.SerializeToString() == before
        assert largest_difference(loaded(small, task)(batch), loaded(model, task)(batch)) < 0.01
        stored = [
            sum(numpy_helper.to_array(tensor).nbytes for tensor in each.graph.initializer)
            for each in (model, small)
        ]
        assert stored[1] < 0.6 * stored[0]


def test_16_bits_keep_what_they_cannot_hold(graphs: dict[str, onnx.ModelProto]) -> None:
    model = onnx.load_from_string(graphs["segmentation"].SerializeToString())
    tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] = 1e6
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    kept = {each.name: each for each in in_16_bits(model).graph.initializer}
    assert (numpy_helper.to_array(kept[tensor.name]) == values).all()


@pytest.mark.parametrize("task", ["joint", "segmentation"])
def test_8_bits_say_nearly_the_same(
    task: str, graphs: dict[str, onnx.ModelProto], tiny: TumorDataset
) -> None:
    batch = slices(tiny, 24)
    small = in_8_bits(graphs[task], iter(batch[:, 0]))
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in small.graph.node}
    for part in (batch[:1], batch[:5], batch):
        told, expected = loaded(small, task)(part), loaded(graphs[task], task)(part)
        assert largest_difference(told, expected) < 0.2


def test_only_blocks_behind_the_encoder_and_large_pointwise_convolutions_of_the_encoder_get_8_bits() -> None:
    weights = {
        "network.decoder.0.block.3.weight": (16, 16, 3, 3),
        "network.decoder.0.attention.skip.weight": (256, 256, 1, 1),
        "network.encoder.blocks.0.conv_pw.weight": (16, 32, 1, 1),
        "network.encoder.blocks.5.conv_pw.weight": (1152, 192, 1, 1),
        "network.encoder.blocks.5.conv_dw.weight": (60_000, 1, 5, 5),
        "network.type_block.0.weight": (64, 128, 3, 3),
        "network.type_deep.weight": (256, 256, 1, 1),
    }
    given = [
        helper.make_tensor(name, TensorProto.FLOAT, dims, bytes(4 * math.prod(dims)), raw=True)
        for name, dims in weights.items()
    ]
    nodes = [helper.make_node("Conv", ["image", name], [f"{name}.out"], name=name) for name in weights]
    model = helper.make_model(helper.make_graph(nodes, "graph", [], [], given))
    assert onnx_graph._fit_for_8_bits(model) == [
        "network.decoder.0.block.3.weight",
        "network.encoder.blocks.5.conv_pw.weight",
        "network.type_block.0.weight",
    ]
