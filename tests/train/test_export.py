"""A bundle says what its networks say, and is refused where it doesn't."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

import tumorlens
from tests.train.tiny import SIZE, tiny_recipe
from tumorlens.bundle import open_bundle
from tumorlens.bundle.manifest import Graph, Output, Precision, Result
from tumorlens.bundle.session import OnnxModel
from tumorlens.bundle.write import member
from tumorlens.dataset import TumorDataset
from tumorlens.dataset.prepared import prepare_dataset
from tumorlens.ensemble import Ensemble, Outputs
from tumorlens.errors import TumorlensError
from tumorlens.judgement import Judgement
from tumorlens.train import export
from tumorlens.train.export import export_runs
from tumorlens.train.inference import RunModel, runs_ensemble
from tumorlens.train.onnx_graph import graph_outputs, in_8_bits, in_16_bits, to_onnx
from tumorlens.train.recipe import Recipe, load_recipe
from tumorlens.train.run import Run
from tumorlens.train.split import Side, Split
from tumorlens.train.trainer import train
from tumorlens.tumor_type import TumorType

JOINT = """
task: joint
size: 64
analysis: {flip: true, lowest_threshold: 0.2}
split: {kind: patients, validation: 0.25, test: 0.25}
model: {encoder: test_resnet, weights: none, decoder_channels: [32, 16, 8], context_layers: 1}
training: {phases: [{epochs: 4, learning_rate: 0.003}], batch_size: 6, workers: 0}
"""


def silent(_: str) -> None:
    """Report nothing."""


def joint_recipe(folder: Path) -> Recipe:
    path = folder / "joint.yaml"
    path.write_text(JOINT)
    return load_recipe(str(path))


@pytest.fixture(scope="module")
def runs(tiny: TumorDataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A run for each task."""
    folder = tmp_path_factory.mktemp("runs")
    recipes = {
        "joint": joint_recipe(folder),
        "segmentation": tiny_recipe(),
        "classification": tiny_recipe(task="classification"),
    }
    return {task: train(recipe, tiny, folder / task, report=silent) for task, recipe in recipes.items()}


@pytest.fixture(scope="module")
def graphs(runs: dict[str, Run]) -> dict[str, onnx.ModelProto]:
    """The graph of each run; made once, since the exporter takes seconds."""
    return {task: to_onnx(run.load_network(), task, SIZE) for task, run in runs.items()}


@pytest.fixture
def exported_already(graphs: dict[str, onnx.ModelProto], monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter hands out what it made before."""
    monkeypatch.setattr(export, "to_onnx", lambda _network, task, _size: _copy(graphs[task]))


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


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


# --- Graphs -----------------------------------------------------------------------------------------------


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
    model = _copy(graphs["segmentation"])
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


# --- Bundles ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("exported_already")
def test_a_bundle_of_a_run_is_used_as_its_recipe_says(
    runs: dict[str, Run], tiny: TumorDataset, tmp_path: Path
) -> None:
    run, said = runs["joint"], []
    results = [Result(measure="Dice", value=0.5, protocol="none", slices=2)]
    judgement = Judgement(temperature=2, strange_above=0.9)
    bundle = export_runs(
        [run], tiny, tmp_path / "b", name="mine", judgement=judgement, results=results, report=said.append
    )
    manifest = open_bundle(tmp_path / "b").manifest
    assert manifest == bundle.manifest
    assert (manifest.name, manifest.size, manifest.flip) == ("mine", SIZE, True)
    assert manifest.judgement == judgement.model_copy(update={"lowest_threshold": 0.2})
    assert list(manifest.results) == results
    [graph] = manifest.graphs
    assert graph.recipe == run.recipe.model_dump(mode="json")
    assert graph.outputs == tuple(Output)
    training = manifest.training
    assert (training.slices, training.patients, training.folds) == (12, 6, None)
    assert training.weights == "a random start"
    parity = manifest.parity
    assert (parity.slices, parity.same_types) == (6, 1)
    assert parity.largest_difference < 1e-4
    assert parity.lowest_dice > 0.999
    assert said[-1].startswith(f"{tmp_path / 'b'}: ")
    batch = slices(tiny, 7)
    ensemble = bundle.load()
    told, expected = (each({SIZE: batch}) for each in (ensemble, runs_ensemble([run])))
    assert told.tumor_probability == pytest.approx(expected.tumor_probability, abs=1e-4)
    assert told.class_logits == pytest.approx(expected.class_logits, abs=1e-3)
    assert told.class_maps == pytest.approx(expected.class_maps, abs=1e-3)
    assert ensemble.familiarity is not None
    known = ensemble.familiarity(prepare_dataset(tiny, SIZE).images[run.split.positions(tiny, Side.TRAIN)])
    assert known.shape == (12,)


@pytest.mark.usefixtures("exported_already")
def test_a_run_that_outlines_and_one_that_names_make_one_bundle(
    runs: dict[str, Run], tiny: TumorDataset, tmp_path: Path
) -> None:
    pair = [runs["segmentation"], runs["classification"]]
    bundle = export_runs(pair, tiny, tmp_path / "b", name="pair", precision=Precision.FP16, report=silent)
    assert [graph.file for graph in bundle.manifest.graphs] == ["model-1.onnx", "model-2.onnx"]
    assert [graph.outputs for graph in bundle.manifest.graphs] == [
        (Output.MASK_LOGITS,),
        (Output.CLASS_LOGITS,),
    ]
    assert {graph.precision for graph in bundle.manifest.graphs} == {Precision.FP16}
    opinion = bundle.load()({SIZE: slices(tiny, 3)})
    expected = runs_ensemble(pair)({SIZE: slices(tiny, 3)})
    assert opinion.tumor_probability == pytest.approx(expected.tumor_probability, abs=0.02)
    assert opinion.class_logits == pytest.approx(expected.class_logits, abs=0.05)
    assert opinion.class_maps is None


@pytest.mark.usefixtures("exported_already")
def test_several_runs_of_one_task_are_averaged(
    runs: dict[str, Run], tiny: TumorDataset, tmp_path: Path
) -> None:
    twice = [runs["segmentation"], runs["joint"]]
    bundle = export_runs(twice, tiny, tmp_path / "b", name="two", report=silent)
    told = bundle.load()({SIZE: slices(tiny, 3)}).tumor_probability
    apart = [Ensemble([RunModel(run)])({SIZE: slices(tiny, 3)}).tumor_probability for run in twice]
    assert told == pytest.approx(np.mean(apart, axis=0), abs=1e-4)


@pytest.mark.usefixtures("exported_already")
def test_a_run_trained_on_everything_is_compared_on_everything(
    runs: dict[str, Run], tiny: TumorDataset, tmp_path: Path
) -> None:
    files = tuple(entry.file for entry in tiny.entries)
    run = Run(runs["joint"].folder)
    run.split = Split(files, (), ())
    bundle = export_runs([run], tiny, tmp_path / "b", name="all", report=silent)
    assert bundle.manifest.parity.slices == bundle.manifest.training.slices == len(tiny)
    assert bundle.manifest.training.patients == 12


# --- Refused ----------------------------------------------------------------------------------------------


def _spoiled(model: onnx.ModelProto, times: float) -> onnx.ModelProto:
    """A graph whose weights are a little larger than its network's."""
    spoiled = _copy(model)
    for tensor in spoiled.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > 200:
            tensor.CopyFrom(numpy_helper.from_array(values * np.float32(times), tensor.name))
    return spoiled


@pytest.mark.parametrize("task", ["joint", "segmentation", "classification"])
def test_a_graph_that_strays_from_its_network_is_refused(
    task: str,
    runs: dict[str, Run],
    graphs: dict[str, onnx.ModelProto],
    tiny: TumorDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export, "to_onnx", lambda *_: _spoiled(graphs[task], 1.01))
    with pytest.raises(TumorlensError, match="expected a graph that says what its network says") as caught:
        export_runs([runs[task]], tiny, tmp_path / "b", name="b", report=silent)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def _negated(model: onnx.ModelProto, output: Output) -> onnx.ModelProto:
    """A graph that says the opposite of what it said."""
    negated = _copy(model)
    for node in negated.graph.node:
        node.output[:] = [f"{name}_" if name == output else name for name in node.output]
        node.input[:] = [f"{name}_" if name == output else name for name in node.input]
    negated.graph.node.append(onnx.helper.make_node("Neg", [f"{output}_"], [str(output)]))
    return negated


@pytest.mark.usefixtures("exported_already")
@pytest.mark.parametrize(
    ("output", "lost"),
    [(Output.MASK_LOGITS, "lose less than 0.002 Dice"), (Output.CLASS_LOGITS, "lose no accuracy")],
)
@pytest.mark.parametrize(("made_by", "precision"), [("in_16_bits", "fp16"), ("in_8_bits", "int8")])
def test_a_smaller_graph_that_loses_too_much_is_refused(
    output: Output,
    lost: str,
    made_by: str,
    precision: str,
    runs: dict[str, Run],
    tiny: TumorDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The truth is what the whole graph says, lest a barely trained one have nothing to lose."""
    run, prepared = runs["joint"], prepare_dataset(tiny, SIZE)
    told = RunModel(run)(slices(tiny, len(tiny)))
    types = np.asarray(told.class_logits).argmax(axis=1)
    entries = [
        replace(entry, label=TumorType.from_class_index(int(index)))
        for entry, index in zip(tiny.entries, types, strict=True)
    ]
    truth = replace(prepared, masks=np.asarray(told.mask_logits) >= 0)
    monkeypatch.setattr(export, "prepare_dataset", lambda *_: truth)
    monkeypatch.setattr(export, made_by, lambda model, *_: _negated(model, output))
    with pytest.raises(TumorlensError, match=lost) as caught:
        export_runs(
            [run], TumorDataset(tiny.root, entries, tiny.folder), tmp_path / "b",
            name="b", precision=Precision(precision), report=silent,
        )  # fmt: skip
    assert str(caught.value).endswith("export in a higher precision")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def no_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is refused is refused before anything that takes long."""

    def export_now(*_: object) -> None:
        raise AssertionError("the exporter was started")

    monkeypatch.setattr(export, "to_onnx", export_now)
    monkeypatch.setattr(export, "prepare_dataset", export_now)


@pytest.mark.usefixtures("no_exporter")
@pytest.mark.parametrize("place", ["full", "file", "."])
def test_a_place_that_is_taken_is_refused_at_once(
    place: str, runs: dict[str, Run], tiny: TumorDataset, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    (tmp_path / "file").write_text("")
    with pytest.raises(TumorlensError, match="expected a new or empty folder for the bundle"):
        export_runs(
            [runs["joint"]], tiny, tmp_path / place if place != "." else Path(), name="b", report=silent
        )
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "thesis.tex"]


@pytest.mark.usefixtures("no_exporter")
@pytest.mark.parametrize("name", ["", "x" * 101, "two\nlines"])
def test_a_name_that_no_manifest_takes_is_refused_at_once(
    name: str, runs: dict[str, Run], tiny: TumorDataset, tmp_path: Path
) -> None:
    with pytest.raises(TumorlensError, match="expected a name of 1 to 100 printable characters"):
        export_runs([runs["joint"]], tiny, tmp_path / "b", name=name, report=silent)


@pytest.mark.usefixtures("no_exporter")
def test_runs_of_different_sizes_are_refused_at_once(
    runs: dict[str, Run], tiny: TumorDataset, tmp_path: Path
) -> None:
    other = Run(runs["classification"].folder)
    other.recipe = tiny_recipe("size=96", task="classification")
    with pytest.raises(TumorlensError, match=r"expected runs of one input size for a bundle, got \[64, 96\]"):
        export_runs([runs["segmentation"], other], tiny, tmp_path / "b", name="b", report=silent)


@pytest.mark.usefixtures("no_exporter")
def test_another_dataset_than_that_of_the_runs_is_refused_at_once(
    runs: dict[str, Run], tiny: TumorDataset, tmp_path: Path
) -> None:
    other = TumorDataset(tiny.root, tiny.entries[:20], tiny.folder)
    with pytest.raises(TumorlensError, match="is this the dataset of the run"):
        export_runs([runs["joint"]], other, tmp_path / "b", name="b", report=silent)


def test_a_run_without_weights_is_refused(
    runs: dict[str, Run], tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "best_weights", property(lambda _: tmp_path / "absent"))
    with pytest.raises(TumorlensError, match="expected a trained run"):
        export_runs([runs["joint"]], tiny, tmp_path / "b", name="b", report=silent)
