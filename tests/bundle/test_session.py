"""A graph says what it computes, and is refused unless it is what its manifest says."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.bundle.small import CELLS, GRAPH, SIZE, graph_model
from tumorlens.bundle import open_bundle
from tumorlens.bundle.manifest import Graph, Output
from tumorlens.bundle.session import OnnxModel
from tumorlens.bundle.write import member
from tumorlens.errors import TumorlensError


def opened(data: bytes, outputs: tuple[Output, ...] = tuple(Output), size: int = SIZE) -> OnnxModel:
    graph = Graph(**member(GRAPH, data).model_dump(), outputs=outputs, recipe={})
    return OnnxModel(data, graph, size)


def refusal(data: bytes, **more: object) -> str:
    with pytest.raises(TumorlensError) as caught:
        opened(data, **more)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith(f"{GRAPH}: expected ")
    assert "\n" not in message
    return message


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 1, SIZE, SIZE), np.float32)


@pytest.mark.parametrize("count", [1, 2, 5, 17])
def test_a_graph_says_what_it_computes_for_any_number_of_slices(count: int) -> None:
    batch = pictures(count)
    told = opened(graph_model().SerializeToString())(batch)
    assert told.mask_logits == pytest.approx(40 * (batch[:, 0] - 0.5), abs=1e-5)
    step = SIZE // CELLS
    bright = batch.reshape(count, 1, CELLS, step, CELLS, step).mean((3, 5))
    assert told.class_maps == pytest.approx(bright * np.float32([0, 1, 0.25]).reshape(3, 1, 1), abs=1e-5)
    assert told.class_logits == pytest.approx(told.class_maps.sum((2, 3)), abs=1e-4)


def test_only_the_outputs_of_the_manifest_are_handed_out() -> None:
    told = opened(graph_model().SerializeToString(), outputs=(Output.CLASS_LOGITS,))(pictures(2))
    assert told.class_logits is not None
    assert told.mask_logits is None
    assert told.class_maps is None


def test_several_threads_get_the_same_as_one() -> None:
    model = opened(graph_model().SerializeToString())
    batches = [pictures(1 + seed % 4, seed) for seed in range(24)]
    alone = [model(batch) for batch in batches]
    start = threading.Barrier(8)

    def ask(thread: int) -> list[np.ndarray]:
        start.wait()
        return [model(batch).mask_logits for batch in batches[thread::8]]  # type: ignore[misc]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, range(8)))
    for thread, told in enumerate(together):
        for mine, theirs in zip(told, alone[thread::8], strict=True):
            assert (mine == theirs.mask_logits).all()


@pytest.mark.parametrize("damage", ["junk", "truncated", "empty", "text"])
def test_bytes_that_are_no_graph_are_refused_without_a_word_of_the_runtime(
    damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = graph_model().SerializeToString()
    data = {"junk": b"junk" * 99, "truncated": whole[:-30], "empty": b"", "text": b"{}"}[damage]
    graph = Graph(**member(GRAPH, b"x").model_dump(), outputs=tuple(Output), recipe={})
    with pytest.raises(TumorlensError, match="expected a graph for ONNX Runtime") as caught:
        OnnxModel(data, graph, SIZE)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_another_input_is_refused() -> None:
    assert "expected the input image (n, 1, 32, 32)" in refusal(graph_model(image="x").SerializeToString())
    assert "(n, 1, 64, 64)" in refusal(graph_model().SerializeToString(), size=64)


def test_a_second_input_is_refused() -> None:
    model = graph_model()
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    assert "expected the input image" in refusal(model.SerializeToString())


def test_a_graph_for_one_slice_at_a_time_is_refused() -> None:
    assert "expected a graph that runs" in refusal(graph_model(batch=1).SerializeToString())


@pytest.mark.parametrize("output", list(Output))
def test_a_missing_output_is_named(output: Output) -> None:
    model = graph_model()
    for value in [value for value in model.graph.output if value.name == output]:
        model.graph.output.remove(value)
    assert f"expected the output {output}, got " in refusal(model.SerializeToString())
    others = tuple(name for name in Output if name != output)
    opened(model.SerializeToString(), outputs=others)


def _with_node(before: str, *nodes: onnx.NodeProto, constants: dict[str, np.ndarray]) -> bytes:
    """The small graph with what it says under a name changed by further nodes; its shape isn't declared."""
    model = graph_model()
    for node in model.graph.node:
        node.output[:] = [f"{before}_" if name == before else name for name in node.output]
        node.input[:] = [f"{before}_" if name == before else name for name in node.input]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in constants.items())
    for value in model.graph.output:
        if value.name == before:
            value.type.tensor_type.ClearField("shape")
    return model.SerializeToString()


def test_a_mask_with_a_channel_is_refused() -> None:
    node = helper.make_node("Unsqueeze", ["mask_logits_", "axis"], ["mask_logits"])
    data = _with_node("mask_logits", node, constants={"axis": np.int64([1])})
    assert "expected mask_logits of shape (2, 32, 32)" in refusal(data)


def test_a_fourth_tumor_type_is_refused() -> None:
    node = helper.make_node("Concat", ["class_logits_", "rest"], ["class_logits"], axis=1)
    data = _with_node("class_logits", node, constants={"rest": np.zeros((2, 1), np.float32)})
    assert "expected class_logits of shape (2, 3) and float32 for 2 slices, got (2, 4)" in refusal(data)


def test_a_graph_that_fails_is_refused_without_a_word_of_the_runtime(
    capfd: pytest.CaptureFixture[str],
) -> None:
    node = helper.make_node("Concat", ["class_logits_", "rest"], ["class_logits"], axis=1)
    data = _with_node("class_logits", node, constants={"rest": np.zeros((7, 1), np.float32)})
    assert "expected a graph that runs" in refusal(data)
    assert capfd.readouterr() == ("", "")


def test_a_class_map_without_rows_is_refused() -> None:
    node = helper.make_node("ReduceSum", ["class_maps_", "rows"], ["class_maps"], keepdims=0)
    assert "expected class_maps" in refusal(_with_node("class_maps", node, constants={"rows": np.int64([2])}))


def test_an_output_in_another_precision_is_refused() -> None:
    model = onnx.load_from_string(
        _with_node(
            "class_logits",
            helper.make_node("Cast", ["class_logits_"], ["class_logits"], to=TensorProto.DOUBLE),
            constants={},
        )
    )
    for value in model.graph.output:
        if value.name == "class_logits":
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    assert "float32 for 2 slices, got (2, 3) float64" in refusal(model.SerializeToString())


def _with_outside_weights(place: str) -> bytes:
    """Weights of a picture's size, which ONNX Runtime would load from a file in the current folder."""
    model = graph_model()
    tensor = numpy_helper.from_array(np.zeros((1, 1, SIZE, SIZE), np.float32), "outside")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": place, "offset": "0", "length": str(4 * SIZE * SIZE)}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    model.graph.initializer.append(tensor)
    model.graph.node[0].input[:] = ["image", "outside"]
    return model.SerializeToString()


def test_weights_outside_of_the_graph_are_refused_and_no_other_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for folder in (tmp_path, tmp_path / "inner"):
        np.zeros(SIZE * SIZE, np.float32).tofile(folder / "secret.bin")
    places = ["secret.bin", "../secret.bin", str(tmp_path / "secret.bin"), "*/_ORT_MEM_ADDR_/*", ""]
    for place in places:
        assert "expected a graph with all its weights" in refusal(_with_outside_weights(place))


def test_the_runtime_s_own_format_is_refused(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "graph.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    data = graph_model().SerializeToString()
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    assert "expected a graph for ONNX Runtime" in refusal((tmp_path / "graph.ort").read_bytes())


def test_an_unknown_operator_is_refused() -> None:
    model = graph_model()
    model.graph.node[0].domain = "somewhere.else"
    model.opset_import.append(helper.make_opsetid("somewhere.else", 1))
    assert "expected a graph for ONNX Runtime" in refusal(model.SerializeToString())


def test_the_models_come_in_the_manifest_s_order_whichever_is_ready_first() -> None:
    bundle = open_bundle()
    first, second = bundle.manifest.graphs
    batch = np.random.default_rng(0).random((1, 1, bundle.manifest.size, bundle.manifest.size), np.float32)
    for model, graph in zip(bundle.load().models, (first, second), strict=True):
        alone = OnnxModel(bundle.read(graph), graph, bundle.manifest.size)
        assert (np.asarray(model(batch).class_logits) == np.asarray(alone(batch).class_logits)).all()
