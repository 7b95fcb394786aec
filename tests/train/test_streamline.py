"""A streamlined graph says what it said, with less work; where that can't be, it stays as it is."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper, parser

from tests.train.tiny import SIZE
from tumorlens.train import streamline
from tumorlens.train.onnx_graph import in_8_bits
from tumorlens.train.streamline import streamlined

_TWICE = "Resize <mode='linear', coordinate_transformation_mode='half_pixel'> (image, none, twice)"
_QUANTISE = "QuantizeLinear (both, scale, zero)"


def graph(*body: str, said: str, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """A graph from ``image`` (n, 8, 6, 6) to ``said``, its type and shape."""
    header = '<ir_version: 10, opset_import: ["" : 20]>'
    text = f"{header} tested (float[n, 8, 6, 6] image) => ({said} said) {{ {' '.join(body)} }}"
    model: onnx.ModelProto = parser.parse_model(text.replace("'", '"').replace("none", ""))
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return onnx.shape_inference.infer_shapes(model)


def weights(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.normal(size=shape).astype(np.float32)


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def says(model: onnx.ModelProto, count: int) -> np.ndarray:
    """What it says of random features."""
    image = np.random.default_rng(count).normal(size=(count, 8, 6, 6)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [said] = session.run(["said"], {"image": image})
    return np.asarray(said)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def twice() -> np.ndarray:
    return np.array([1, 1, 2, 2], np.float32)


@pytest.fixture
def large_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if those of these tests had many places."""
    monkeypatch.setattr(streamline, "_SMALL", 0)


@pytest.mark.usefixtures("large_maps")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 16, 20])
def test_channels_are_mixed_before_features_are_enlarged(
    bias: bool, channels: int, random: np.random.Generator, twice: np.ndarray
) -> None:
    model = graph(
        f"large = {_TWICE}",
        f"said = Conv (large, w{', b' if bias else ''})",
        said=f"float[n, {channels}, 12, 12]",
        weights={"twice": twice, "w": weights(random, channels, 8, 1, 1), "b": weights(random, channels)},
    )
    lean = streamlined(model)
    assert [node.op_type for node in lean.graph.node] == ["Conv", "Resize"]
    for count in (1, 3):
        assert says(lean, count) == pytest.approx(says(model, count), abs=1e-5)


@pytest.mark.usefixtures("large_maps")
def test_features_that_others_read_are_enlarged_as_before(
    random: np.random.Generator, twice: np.ndarray
) -> None:
    model = graph(
        f"large = {_TWICE}",
        "mixed = Conv (large, w)",
        "said = Concat <axis=1> (large, mixed)",
        said="float[n, 24, 12, 12]",
        weights={"twice": twice, "w": weights(random, 16, 8, 1, 1)},
    )
    lean = streamlined(model)
    assert operators(lean) == {"Conv": 1, "Resize": 2, "Concat": 1}
    assert says(lean, 2) == pytest.approx(says(model, 2), abs=1e-5)


@pytest.mark.parametrize("sides", [(12, 12), (24, 24), (7, 11), (6, 13)])
def test_maps_of_few_places_are_enlarged_by_a_matrix_product(sides: tuple[int, int]) -> None:
    scale = np.array([1, 1, sides[0] / 6, sides[1] / 6], np.float32)
    model = graph(f"said = {_TWICE}", said=f"float[n, 8, {sides[0]}, {sides[1]}]", weights={"twice": scale})
    lean = streamlined(model)
    assert operators(lean)["Resize"] == 0
    assert operators(lean)["MatMul"] == 1
    for count in (1, 3):
        assert says(lean, count) == pytest.approx(says(model, count), abs=1e-5)


@pytest.mark.parametrize("sides", [(3, 3), (12, 3), (3, 12)])
def test_maps_that_shrink_stay(sides: tuple[int, int]) -> None:
    scale = np.array([1, 1, sides[0] / 6, sides[1] / 6], np.float32)
    said = f"float[n, 8, {sides[0]}, {sides[1]}]"
    model = graph(f"said = {_TWICE}", said=said, weights={"twice": scale})
    assert operators(streamlined(model)) == {"Resize": 1}


def test_other_ways_of_enlarging_stay(twice: np.ndarray) -> None:
    for way in (
        "<mode='nearest'>",
        "<mode='cubic'>",
        "<mode='linear', coordinate_transformation_mode='asymmetric'>",
    ):
        model = graph(
            f"said = Resize {way} (image, none, twice)",
            said="float[n, 8, 12, 12]",
            weights={"twice": twice},
        )
        assert operators(streamlined(model)) == {"Resize": 1}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [1, 15, 16])
def test_few_channels_are_mixed_by_a_matrix_product(
    bias: bool, channels: int, random: np.random.Generator
) -> None:
    model = graph(
        f"mixed = Conv (image, w{', b' if bias else ''})",
        "said = Relu (mixed)",
        said=f"float[n, {channels}, 6, 6]",
        weights={"w": weights(random, channels, 8, 1, 1), "b": weights(random, channels)},
    )
    lean = streamlined(model)
    assert operators(lean)["MatMul"] == (channels < 16)
    assert operators(lean)["Conv"] == (channels >= 16)
    for count in (1, 3):
        assert says(lean, count) == pytest.approx(says(model, count), abs=1e-5)


@pytest.mark.parametrize(
    ("attributes", "shape", "said"),
    [
        ("strides=[2, 2]", (3, 8, 1, 1), "float[n, 3, 3, 3]"),
        ("pads=[1, 1, 1, 1]", (3, 8, 1, 1), "float[n, 3, 8, 8]"),
        ("group=8", (8, 1, 1, 1), "float[n, 8, 6, 6]"),
        ("pads=[1, 1, 1, 1]", (3, 8, 3, 3), "float[n, 3, 6, 6]"),
        ("pads=[0, 0, 0, 0]", (3, 8, 3, 1), "float[n, 3, 4, 6]"),
    ],
)
@pytest.mark.usefixtures("large_maps")
def test_other_convolutions_stay(
    attributes: str, shape: tuple[int, ...], said: str, random: np.random.Generator, twice: np.ndarray
) -> None:
    kept = weights(random, *shape)
    alone = graph(f"said = Conv <{attributes}> (image, w)", said=said, weights={"w": kept})
    assert operators(streamlined(alone)) == {"Conv": 1}
    behind = graph(
        f"large = {_TWICE}",
        f"said = Conv <{attributes}> (large, w)",
        said="float[n, c, h, v]",
        weights={"twice": twice, "w": kept},
    )
    assert [node.op_type for node in streamlined(behind).graph.node] == ["Resize", "Conv"]


def test_what_is_joined_is_brought_to_8_bits_before() -> None:
    model = graph(
        "half = Mul (image, scale)",
        "both = Concat <axis=1> (image, half)",
        f"said = {_QUANTISE}",
        said="uint8[n, 16, 6, 6]",
        weights={"scale": np.array(0.02, np.float32), "zero": np.array(100, np.uint8)},
    )
    lean = streamlined(model)
    assert operators(lean) == {"Mul": 1, "QuantizeLinear": 2, "Concat": 1}
    assert lean.graph.node[-1].op_type == "Concat"
    assert (says(lean, 3) == says(model, 3)).all()


def test_what_is_brought_to_8_bits_by_channel_is_joined_before() -> None:
    model = graph(
        "both = Concat <axis=1> (image, image)",
        f"said = {_QUANTISE}",
        said="uint8[n, 16, 6, 6]",
        weights={"scale": np.linspace(0.01, 0.1, 16, dtype=np.float32), "zero": np.zeros(16, np.uint8)},
    )
    assert [node.op_type for node in streamlined(model).graph.node] == ["Concat", "QuantizeLinear"]


def test_a_network_needs_fewer_calculations_and_no_relu_in_8_bits(
    graphs: dict[str, onnx.ModelProto],
) -> None:
    exact = graphs["joint"]
    enlarged = {node.output[0] for node in exact.graph.node if node.op_type == "Resize"}
    assert not any(node.input[0] in enlarged for node in exact.graph.node if node.op_type == "Conv")
    slices = np.random.default_rng(0).random((4, SIZE, SIZE), dtype=np.float32)
    small = in_8_bits(exact, iter(slices))
    made_by = {name: node for node in small.graph.node for name in node.output}
    behind = [made_by[node.input[0]].op_type for node in small.graph.node if node.op_type == "Relu"]
    assert behind
    assert "DequantizeLinear" not in behind
    joined = [node for node in small.graph.node if node.op_type == "QuantizeLinear"]
    assert all(made_by[node.input[0]].op_type != "Concat" for node in joined)
