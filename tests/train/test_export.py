"""A bundle says what its networks say, and is refused where it doesn't."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.train.tiny import SIZE, tiny_recipe
from tumorlens.bundle import open_bundle
from tumorlens.bundle.manifest import Output, Precision, Result
from tumorlens.dataset import TumorDataset
from tumorlens.dataset.prepared import prepare_dataset
from tumorlens.ensemble import Ensemble
from tumorlens.errors import TumorlensError
from tumorlens.judgement import Judgement
from tumorlens.train import export
from tumorlens.train.export import export_runs
from tumorlens.train.inference import RunModel, runs_ensemble
from tumorlens.train.run import Run
from tumorlens.train.split import Side, Split
from tumorlens.tumor_type import TumorType


def silent(_: str) -> None:
    """Report nothing."""


@pytest.fixture
def exported_already(graphs: dict[str, onnx.ModelProto], monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter hands out what it made before."""
    monkeypatch.setattr(export, "to_onnx", lambda _network, task, _size: _copy(graphs[task]))


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def slices(dataset: TumorDataset, count: int) -> np.ndarray:
    return np.array(prepare_dataset(dataset, SIZE).images[:count])[:, None]


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
def test_a_graph_that_has_nothing_to_make_smaller_is_called_what_it_is(
    runs: dict[str, Run], tiny: TumorDataset, tmp_path: Path
) -> None:
    run = runs["classification"]  # without a decoder, nothing is done in 8 bits
    bundle = export_runs([run], tiny, tmp_path / "b", name="b", precision=Precision.INT8, report=silent)
    assert [graph.precision for graph in bundle.manifest.graphs] == [Precision.FP32]


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
