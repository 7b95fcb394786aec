"""The same graph with less work for ONNX Runtime on a processor: fewer bytes moved, fewer channels padded."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import ArrayLike, NDArray
from onnx_ir.passes.common import NameFixPass, RemoveUnusedNodesPass
from onnx_ir.tape import Tape

_BLOCK = 16  # channels that ONNX Runtime's convolutions take together; fewer are filled up with zeros
_SMALL = 64  # places of a map that a matrix product enlarges faster


def streamlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph that says the same, but for rounding.

    - A pointwise convolution of enlarged features is done before these are enlarged: it mixes channels, while
      enlarging takes means of places, so that their order doesn't matter.
    - A pointwise convolution with few output channels becomes a matrix product.
    - So does enlarging a map of few places.
    - What is joined and then brought to 8 bits is brought there first: a quarter of the bytes is joined.

    Args:
        model: As exported, in 8 bits or not.
    """
    changed = ir.from_proto(model)
    for change in (
        _mixed_before_enlarged,
        _narrow_mixed_by_product,
        _small_enlarged_by_product,
        _quantised_before_joined,
    ):
        _everywhere(changed.graph, change)
    lean = ir.to_proto(ir.passes.Sequential(RemoveUnusedNodesPass(), NameFixPass())(changed).model)
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


def _narrow_mixed_by_product(node: ir.Node, tape: Tape) -> ir.Value | None:
    """Weights times (channels, places) of each slice, and the bias."""
    weights, places = _pointwise_weights(node), _places(node.outputs[0])
    if weights is None or len(weights) >= _BLOCK or places is None:
        return None
    said = tape.op("MatMul", [_constant(tape, weights[:, :, 0, 0]), _flat(tape, node)])
    for bias in node.inputs[2:]:
        said = tape.op("Add", [said, tape.op("Unsqueeze", [bias, _constant(tape, [1])])])
    return tape.op("Reshape", [said, _constant(tape, [0, 0, *places])])


def _small_enlarged_by_product(node: ir.Node, tape: Tape) -> ir.Value | None:
    """(channels, places) of each slice times what each place gives to each of the larger map's."""
    small, large = (_places(values[0]) if values else None for values in (node.inputs, node.outputs))
    kind = [node.attributes.get_string(name) for name in ("mode", "coordinate_transformation_mode")]
    if node.op_type != "Resize" or kind != ["linear", "half_pixel"] or small is None or large is None:
        return None
    if np.prod(small) > _SMALL or np.less(large, small).any():
        return None
    shares = np.kron(*map(_linear, small, large)).astype(np.float32)
    said = tape.op("MatMul", [_flat(tape, node), _constant(tape, shares)])
    return tape.op("Reshape", [said, _constant(tape, [0, 0, *large])])


def _linear(small: int, large: int) -> NDArray[np.float64]:
    """(small, large): what each place of a line gives to each of one that is interpolated from it."""
    middles = (np.arange(large) + 0.5) * small / large - 0.5
    return np.array([np.interp(middles, np.arange(small), place) for place in np.eye(small)])


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


def _places(value: ir.Value | None) -> list[int] | None:
    """Rows and columns of feature maps (n, channels, rows, columns), where they are known."""
    shape = None if value is None else value.shape
    known = [] if shape is None or len(shape) != 4 else [side for side in shape[2:] if isinstance(side, int)]
    return known if len(known) == 2 else None


def _flat(tape: Tape, node: ir.Node) -> ir.Value:
    """A node's first input as (n, channels, places)."""
    return tape.op("Reshape", [node.inputs[0], _constant(tape, [0, 0, -1])])


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
