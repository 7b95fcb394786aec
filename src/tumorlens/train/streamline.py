"""The same graph with less work for ONNX Runtime on a processor: fewer bytes moved, fewer channels padded."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import ArrayLike, NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnx_ir.tape import Tape

_BLOCK = 16  # channels that ONNX Runtime's convolutions take together; fewer are filled up with zeros


def streamlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph that says the same, but for rounding.

    - A pointwise convolution of enlarged features is done before these are enlarged: it mixes channels, while
      enlarging takes means of places, so that their order doesn't matter.
    - A pointwise convolution with few output channels becomes a matrix product.
    - What is joined and then brought to 8 bits is brought there first: a quarter of the bytes is joined.

    Args:
        model: As exported, in 8 bits or not.
    """
    changed = ir.from_proto(model)
    for change in (_mixed_before_enlarged, _narrow_as_product, _quantised_before_joined):
        _everywhere(changed.graph, change)
    lean = ir.to_proto(RemoveUnusedNodesPass()(changed).model)
    onnx.checker.check_model(lean)
    return lean


def _everywhere(graph: ir.Graph, change: Callable[[ir.Node, Tape], ir.Value | None]) -> None:
    """Put what a change makes of a node in its place.

    Args:
        graph: Changed in place.
        change: Writes nodes on a tape and gives what says the same as a node did; None to leave it as it is.
    """
    for node in list(graph):
        tape, old = Tape(), node.outputs[0]
        if (new := change(node, tape)) is not None:
            for number, part in enumerate(tape.nodes):
                part.outputs[0].name = f"{old.name}_{number}"
            new.shape, new.type = old.shape, old.type
            old.replace_all_uses_with(new, replace_graph_outputs=True)
            old.name, new.name = None, old.name
            graph.insert_before(node, tape.nodes)
            graph.remove(node, safe=True)


def _mixed_before_enlarged(node: ir.Node, tape: Tape) -> ir.Value | None:
    enlarged = _producer(node)
    if _pointwise_weights(node) is None or enlarged is None or enlarged.op_type != "Resize":
        return None
    mixed = tape.op("Conv", [enlarged.inputs[0], *node.inputs[1:]], node.attributes)
    return tape.op("Resize", [mixed, *enlarged.inputs[1:]], enlarged.attributes)


def _narrow_as_product(node: ir.Node, tape: Tape) -> ir.Value | None:
    """Weights times (channels, places) of each slice, and the bias."""
    weights, shape = _pointwise_weights(node), node.outputs[0].shape
    if weights is None or len(weights) >= _BLOCK or shape is None:
        return None
    places = [side for side in shape[2:] if isinstance(side, int)]
    if len(places) < len(shape) - 2:
        return None
    flat = tape.op("Reshape", [node.inputs[0], _constant(tape, [0, 0, -1])])
    said = tape.op("MatMul", [_constant(tape, weights[:, :, 0, 0]), flat])
    for bias in node.inputs[2:]:
        said = tape.op("Add", [said, tape.op("Unsqueeze", [bias, _constant(tape, [1])])])
    return tape.op("Reshape", [said, _constant(tape, [0, len(weights), *places])])


def _quantised_before_joined(node: ir.Node, tape: Tape) -> ir.Value | None:
    joined = _producer(node)
    if node.op_type != "QuantizeLinear" or joined is None or joined.op_type != "Concat":
        return None
    scale = _values(node.inputs[1])
    if scale is None or scale.size != 1:  # by channel, which the parts have other ones of
        return None
    parts = [tape.op("QuantizeLinear", [part, *node.inputs[1:]], node.attributes) for part in joined.inputs]
    return tape.op("Concat", parts, joined.attributes)


def _producer(node: ir.Node) -> ir.Node | None:
    """What makes a node's first input."""
    first = node.inputs[0] if node.inputs else None
    return None if first is None else first.producer()


def _pointwise_weights(node: ir.Node) -> NDArray[Any] | None:
    """(out, in, 1, 1) of a convolution that mixes the channels of each place and does nothing else."""
    weights = _values(node.inputs[1]) if node.op_type == "Conv" else None
    if weights is None or weights.shape[2:] != (1, 1):
        return None
    strides, pads = (node.attributes.get_ints(name, ()) for name in ("strides", "pads"))
    plain = set(strides) <= {1} and set(pads) <= {0} and node.attributes.get_int("group", 1) == 1
    return weights if plain else None


def _values(value: ir.Value | None) -> NDArray[Any] | None:
    """A constant's."""
    constant = None if value is None else ir.convenience.get_const_tensor(value)
    return None if constant is None else constant.numpy()


def _constant(tape: Tape, values: ArrayLike) -> ir.Value:
    return tape.op("Constant", [], {"value": ir.tensor(np.asarray(values))})
