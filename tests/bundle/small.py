"""Bundles so small that writing one takes no time; their graphs are built by hand."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tumorlens.bundle import Bundle, Manifest
from tumorlens.bundle.manifest import Graph, Output, Parity, Training, dump
from tumorlens.bundle.write import arrays_bytes, member, write_bundle
from tumorlens.familiarity import Familiarity

SIZE = 32
CELLS = 8
GRAPH = "model-1.onnx"
FAMILIARITY = "familiarity.npz"


def graph_model(size: int = SIZE, image: str = "image", batch: int | str = "n") -> onnx.ModelProto:
    """Outlines what is brighter than the middle, and names glioma for what is bright."""
    cell = size // CELLS
    constants = {
        "half": np.float32([0.5]),
        "steep": np.float32([40]),
        "channel": np.int64([1]),
        "weights": np.float32([0, 1, 0.25]).reshape(1, 3, 1, 1),
        "positions": np.int64([2, 3]),
    }
    nodes = [
        helper.make_node("Sub", [image, "half"], ["above"]),
        helper.make_node("Mul", ["above", "steep"], ["logits"]),
        helper.make_node("Squeeze", ["logits", "channel"], ["mask_logits"]),
        helper.make_node("AveragePool", [image], ["bright"], kernel_shape=[cell, cell], strides=[cell, cell]),
        helper.make_node("Mul", ["bright", "weights"], ["class_maps"]),
        helper.make_node("ReduceSum", ["class_maps", "positions"], ["class_logits"], keepdims=0),
    ]
    shapes = {
        "mask_logits": [batch, size, size],
        "class_logits": [batch, 3],
        "class_maps": [batch, 3, CELLS, CELLS],
    }
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(image, TensorProto.FLOAT, [batch, 1, size, size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@cache
def familiarity() -> Familiarity:
    """Fitted to a few pictures; enough to be stored and asked."""
    return Familiarity.fit(np.random.default_rng(0).random((4, SIZE, SIZE), np.float32))


@cache
def familiarity_bytes() -> bytes:
    return arrays_bytes(familiarity().arrays())


def small_files(graph: bytes | None = None, familiar: bytes | None = None) -> dict[str, bytes]:
    """The members' content by name."""
    data = graph_model().SerializeToString() if graph is None else graph
    return {GRAPH: data, FAMILIARITY: familiarity_bytes() if familiar is None else familiar}


def small_manifest(files: Mapping[str, bytes], **changes: Any) -> Manifest:
    """A manifest that fits the files."""
    graph = Graph(**member(GRAPH, files[GRAPH]).model_dump(), outputs=tuple(Output), recipe={"task": "joint"})
    values: dict[str, Any] = {
        "schema_version": 1,
        "name": "small",
        "tumorlens": "0.0.0",
        "created": datetime(2026, 1, 2, tzinfo=UTC),
        "size": SIZE,
        "graphs": (graph,),
        "familiarity": member(FAMILIARITY, files[FAMILIARITY]),
        "parity": Parity(slices=3, largest_difference=1e-6, same_types=1, lowest_dice=1),
        "training": Training(
            dataset="drawn", licence="CC0", citation="none", slices=4, folds=(1, 2), weights="a random start"
        ),
    }
    return Manifest(**{**values, **changes})


def write_small(folder: Path, **changes: Any) -> Bundle:
    """Write a small bundle; ``changes`` are of its manifest."""
    files = small_files()
    return write_bundle(folder, small_manifest(files, **changes), files)


def put_together(folder: Path, files: Mapping[str, bytes], **changes: Any) -> Path:
    """A bundle as someone with bad intentions writes it: whatever its members, their hashes fit."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "bundle.json").write_text(dump(small_manifest(files, **changes)))
    return folder
