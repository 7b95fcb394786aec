"""A scan goes in and a finding comes out, in the scan's own geometry, whoever asks and how often."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.bundle.small import write_small
from tests.stand_ins import Namer, Outliner, Pointer, Saying, block, overlap
from tumorlens.analyze import Analyzer
from tumorlens.dataset import open_dataset
from tumorlens.dataset.prepared import prepare_dataset
from tumorlens.ensemble import Batch, Ensemble, Outputs
from tumorlens.errors import TumorlensError
from tumorlens.finding import Finding, WarningKind
from tumorlens.judgement import Judgement
from tumorlens.outline import expected_dice_threshold
from tumorlens.preprocess import prepare_image
from tumorlens.scan import Scan, read_scan
from tumorlens.tumor_type import TumorType

SHAPES = [(96, 96), (128, 128), (512, 512), (60, 60), (120, 80), (80, 120), (97, 64), (64, 97)]


def scan_of(*slices: np.ndarray, spacing: tuple[float, float] | None = None) -> Scan:
    return Scan(np.stack(slices), Path("a.mat"), spacing)


def block_scan(shape: tuple[int, int]) -> Scan:
    return scan_of(block(shape) * np.int16(900))


class Brightness:
    """Stands for familiarity: a picture is as strange as it is bright."""

    def __call__(self, images: Batch) -> np.ndarray:
        return images.mean((1, 2)).astype(np.float64)


def everything(**more: object) -> Analyzer:
    return Analyzer(Ensemble([Outliner(), Pointer()], familiarity=Brightness(), name="both", **more))  # type: ignore[arg-type]


def assert_same(one: Finding, other: Finding, tolerance: float = 0) -> None:
    assert one.scan is other.scan
    for name in ("mask", "tumor_probability", "heatmap"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None) == (theirs is None), name
        if mine is not None:
            apart = np.abs(np.asarray(mine, float) - np.asarray(theirs, float))
            assert apart.max() <= tolerance, name
    for name in ("probabilities", "strangeness"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=max(tolerance, 1e-12))
    assert [warning.kind for warning in one.warnings] == [warning.kind for warning in other.warnings]
    assert (one.model, one.confidence is None) == (other.model, other.confidence is None)


# --- Geometry ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("flip", "crop"), [(False, 1), (True, 1), (True, 0.8)])
def test_the_mask_lies_where_the_model_saw_the_tumor(shape: tuple[int, int], flip: bool, crop: float) -> None:
    finding = Analyzer(Ensemble([Outliner()], flip=flip, center_crop=crop)).analyze(block_scan(shape))
    assert finding.mask is not None
    assert finding.mask.shape == (1, *shape)
    assert overlap(finding.mask[0], block(shape)) > (0.999 if shape == (96, 96) else 0.93)
    assert finding.tumor_probability is not None
    probability = np.asarray(finding.tumor_probability)
    assert probability.dtype == np.float32
    assert ((probability >= 0.5) == finding.mask).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("flip", "crop"), [(False, 1), (True, 1), (True, 0.8)])
def test_the_heatmap_lies_where_the_class_map_is(shape: tuple[int, int], flip: bool, crop: float) -> None:
    finding = Analyzer(Ensemble([Pointer()], flip=flip, center_crop=crop)).analyze(block_scan(shape))
    assert finding.tumor_type is TumorType.GLIOMA
    assert finding.heatmap is not None
    heat = np.asarray(finding.heatmap)
    assert heat.dtype == np.float32
    assert heat.shape == (1, *shape)
    assert heat.min() >= 0
    assert heat.max() == 1
    inside = block(shape)
    assert overlap(heat[0] > 0.5, inside) > 0.75  # a position of the class map is four pixels wide
    assert inside[np.unravel_index(heat[0].argmax(), shape)]
    centers = [np.argwhere(area).mean(axis=0) for area in (heat[0] > 0.5, inside)]
    assert centers[0] == pytest.approx(centers[1], abs=0.02 * max(shape))


@pytest.mark.parametrize(("flip", "crop"), [(False, 1), (True, 1), (True, 0.8)])
def test_a_mirrored_scan_gets_a_mirrored_finding(flip: bool, crop: float) -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 99, (2, 80, 96)) + 400 * np.stack([block((80, 96))] * 2)
    analyzer = Analyzer(Ensemble([Outliner(), Pointer()], flip=flip, center_crop=crop))
    one, other = analyzer.analyze(scan_of(*pixels)), analyzer.analyze(scan_of(*pixels[..., ::-1]))
    for name in ("mask", "tumor_probability", "heatmap"):
        mine, theirs = (np.asarray(getattr(each, name), float) for each in (one, other))
        assert np.abs(mine - theirs[..., ::-1]).max() < 0.01, name
    assert one.probabilities == pytest.approx(other.probabilities)


def test_flipping_asks_about_the_mirror_image_too() -> None:
    """A model that sees only the left half says glioma for what is there; flipped, it sees the right one."""
    left = Saying(
        lambda batch: Outputs(class_logits=np.outer(batch[..., :16].mean((1, 2, 3)), np.float32([0, 9, 0])))
    )
    picture = np.zeros((32, 32))
    picture[8:24, 20:30] = 1
    plain, flipped = (Analyzer(Ensemble([left], flip=flip)) for flip in (False, True))
    for analyzer, same in ((plain, False), (flipped, True)):
        one, other = analyzer.analyze(scan_of(picture)), analyzer.analyze(scan_of(picture[:, ::-1]))
        assert (one.probabilities == pytest.approx(other.probabilities)) == same


def test_the_heatmap_shows_what_spoke_for_the_name_and_not_for_all_types_alike() -> None:
    maps = np.zeros((1, 3, 8, 8), np.float32)
    maps[0, :, 0, 0] = 50  # speaks for every type, and so for none
    maps[0, 1, 5, 2] = 3
    maps[0, 0, 5, 6] = 2  # speaks against glioma
    namer = Saying(lambda _: Outputs(class_logits=maps.sum((2, 3)), class_maps=maps))
    heat = Analyzer(Ensemble([namer])).analyze(scan_of(np.eye(8))).heatmap
    assert heat is not None
    assert np.argwhere(heat[0] > 0).tolist() == [[5, 2]]
    assert heat[0][5, 2] == 1


def test_the_heatmaps_of_a_stack_share_one_scale() -> None:
    pixels = np.zeros((2, 96, 96))
    pixels[0, 10:30, 10:30] = 1
    pixels[1, 10:30, 10:30] = 1
    pixels[1, 90, 90] = 8  # leaves the square an eighth as bright
    heat = Analyzer(Ensemble([Pointer()])).analyze(scan_of(*pixels)).heatmap
    assert heat is not None
    assert heat[0].max() == 1
    assert heat[1].max() < 0.8


def test_a_black_slice_gets_an_empty_mask_and_heatmap_and_no_nan() -> None:
    finding = everything().analyze(scan_of(np.zeros((30, 40))))
    assert finding.mask is not None
    assert not finding.mask.any()
    assert finding.heatmap is not None
    assert not np.asarray(finding.heatmap).any()
    assert list((finding.probabilities or {}).values()) == pytest.approx([1 / 3] * 3)
    assert [warning.kind for warning in finding.warnings] == [WarningKind.NO_TUMOR]


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (3, 700)])
def test_slices_of_any_shape_come_back_in_it(shape: tuple[int, int]) -> None:
    finding = everything().analyze(scan_of(np.arange(shape[0] * shape[1]).reshape(shape)))
    for values in (finding.mask, finding.heatmap, finding.tumor_probability):
        assert values is not None
        assert values.shape == (1, *shape)
        assert np.isfinite(values).all()


# --- What the models are fed ------------------------------------------------------------------------------


def test_models_are_fed_the_very_numbers_that_they_are_trained_on(
    slices_folder: Path, tmp_path: Path
) -> None:
    dataset = open_dataset(slices_folder, tmp_path / "cache")
    prepared = prepare_dataset(dataset, 96)
    model = Outliner()
    analyzer = Analyzer(Ensemble([model]))
    for entry in dataset.entries:
        analyzer.analyze(read_scan(slices_folder / entry.file))
    fed = np.concatenate(model.fed)
    assert fed.dtype == prepared.images.dtype == np.float32
    assert fed.shape == (12, 1, 96, 96)
    assert (fed[:, 0] == prepared.images).all()


def test_models_of_two_sizes_each_get_their_own() -> None:
    models = [Outliner(64), Outliner(96)]
    pixels = np.random.default_rng(0).integers(-50, 4000, (3, 70, 90)).astype(np.int16)
    with pytest.raises(TumorlensError, match="one input size to outline"):
        Analyzer(Ensemble(models)).analyze(Scan(pixels, Path("a")))
    for model in models:
        [batch] = model.fed
        assert (batch[:, 0] == np.stack([prepare_image(each, model.size) for each in pixels])).all()


def test_a_scan_is_left_as_it_was() -> None:
    scan = block_scan((50, 70))
    before = scan.pixels.copy()
    scan.pixels.flags.writeable = False
    everything(flip=True).analyze(scan)
    assert (scan.pixels == before).all()


# --- Together and one by one ------------------------------------------------------------------------------


def many_scans() -> list[Scan]:
    """Stacks of many lengths and shapes, 61 slices together: batches end within them."""
    generator = np.random.default_rng(5)
    scans = []
    for number, count in enumerate([1, 3, 1, 17, 2, 1, 33, 1, 2]):
        shape = SHAPES[number % len(SHAPES)] if count < 4 else (20 + number, 30)
        pixels = generator.integers(0, 99, (count, *shape)) + 300 * np.roll(block(shape), number, axis=0)
        scans.append(Scan(pixels.astype(np.int16), Path(f"{number}.mat"), (0.5, 0.7)))
    return scans


@pytest.mark.parametrize("flip", [False, True])
def test_together_scans_get_the_findings_that_they_get_alone(flip: bool) -> None:
    scans = many_scans()
    analyzer = everything(
        flip=flip, judgement=Judgement(lowest_threshold=0.1, strange_above=0.2, temperature=1.5)
    )
    together = analyzer.analyze_batch(scans)
    assert [finding.scan for finding in together] == scans
    for scan, finding in zip(scans, together, strict=True):
        assert_same(finding, analyzer.analyze(scan), 1e-6)


def test_no_scans_get_no_findings() -> None:
    assert everything().analyze_batch([]) == []


def test_models_are_never_given_more_than_four_slices() -> None:
    model = Outliner()
    Analyzer(Ensemble([model])).analyze_batch(many_scans())
    assert sorted(len(batch) for batch in model.fed) == [1, *[4] * 15]


def test_several_threads_get_the_findings_that_one_gets(tmp_path: Path) -> None:
    scans = many_scans()
    for analyzer in (everything(flip=True), Analyzer(write_small(tmp_path / "b", flip=True))):
        alone = [analyzer.analyze(scan) for scan in scans]
        start = threading.Barrier(6)

        def ask(
            thread: int, analyzer: Analyzer = analyzer, start: threading.Barrier = start
        ) -> list[Finding]:
            start.wait()
            order = np.random.default_rng(thread).permutation(len(scans))
            found = {index: analyzer.analyze(scans[index]) for index in order}
            return [found[index] for index in range(len(scans))]

        with ThreadPoolExecutor(6) as pool:
            for findings in pool.map(ask, range(6)):
                for finding, expected in zip(findings, alone, strict=True):
                    assert_same(finding, expected, 1e-3)


def test_each_slice_of_a_stack_gets_its_own_mask() -> None:
    pixels = np.stack([np.roll(block((64, 64)), n, axis=0) * 100 for n in range(20)])
    mask = Analyzer(Ensemble([Outliner(64)])).analyze(Scan(pixels, Path("stack"))).mask
    assert mask is not None
    assert (mask == (pixels > 0)).all()


# --- Judgement --------------------------------------------------------------------------------------------


def says(probability: np.ndarray) -> Saying:
    logits = np.log(probability / (1 - probability)).astype(np.float32)
    return Saying(lambda batch: Outputs(mask_logits=logits[: len(batch)]), probability.shape[-1])


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_a_pixel_is_tumor_from_the_threshold_on(threshold: float) -> None:
    probability = np.linspace(0.001, 0.999, 64 * 64, dtype=np.float32).reshape(1, 64, 64)
    ensemble = Ensemble([says(probability)], Judgement(threshold=threshold))
    finding = Analyzer(ensemble).analyze(scan_of(np.eye(64)))
    mask = finding.mask
    assert finding.tumor_probability == pytest.approx(probability, abs=1e-5)
    assert (mask == (finding.tumor_probability >= np.float32(threshold))).all()


def test_each_slice_has_the_threshold_of_its_own_map() -> None:
    generator = np.random.default_rng(2)
    probability = np.stack([generator.beta(a, 2, (64, 64)) for a in (0.2, 0.6, 2)]).clip(1e-4, 1 - 1e-4)
    ensemble = Ensemble([says(probability)], Judgement(lowest_threshold=0.05))
    mask = Analyzer(ensemble).analyze(scan_of(*[np.eye(64)] * 3)).mask
    assert mask is not None
    thresholds = [expected_dice_threshold(each, 0.05) for each in probability]
    assert len({round(threshold, 2) for threshold in thresholds}) == 3
    for mine, each, threshold in zip(mask, probability, thresholds, strict=True):
        assert np.abs(mine.sum() - (each >= threshold).sum()) <= 0.01 * mine.size


def test_a_stack_is_named_by_the_mean_of_its_slices() -> None:
    logits = np.float32([[0, 4, 0], [2, 0, 0], [0, 1, 3]])
    namer = Saying(lambda batch: Outputs(class_logits=logits[: len(batch)]))
    judgement = Judgement(temperature=2)
    finding = Analyzer(Ensemble([namer], judgement)).analyze(scan_of(*[np.eye(32)] * 3))
    assert finding.probabilities is not None
    expected = judgement.probabilities(logits).mean(axis=0)
    assert list(finding.probabilities) == list(TumorType)
    assert list(finding.probabilities.values()) == pytest.approx(expected.tolist())
    assert finding.tumor_type is TumorType.GLIOMA
    assert finding.confidence is not None
    assert finding.confidence.probability == max(finding.probabilities.values())
    assert finding.heatmap is None


def test_a_stack_is_as_strange_as_its_slices_on_the_average() -> None:
    pixels = np.zeros((2, 50, 50))
    pixels[0, :25] = 1
    pixels[1, :10] = 1
    ensemble = Ensemble([Outliner()], Judgement(strange_above=0.34), familiarity=Brightness())  # type: ignore[arg-type]
    finding = Analyzer(ensemble).analyze(scan_of(*pixels))
    assert finding.strangeness == pytest.approx(0.35, abs=0.01)
    assert WarningKind.UNFAMILIAR in [warning.kind for warning in finding.warnings]


def test_one_model_outlines_and_another_names() -> None:
    scan = scan_of(block((64, 64)) * 100, spacing=(0.5, 2.0))
    finding = Analyzer(Ensemble([Outliner(), Namer()])).analyze(scan)
    assert finding.tumor_type is TumorType.GLIOMA
    assert finding.probabilities is not None
    expected = np.exp([1, 3, 2]) / np.exp([1, 3, 2]).sum()
    assert list(finding.probabilities.values()) == pytest.approx(expected.tolist())
    assert finding.mask is not None
    assert finding.area_mm2 == finding.mask.sum()
    assert finding.strangeness is None


def test_what_no_model_tells_is_none() -> None:
    outlined = Analyzer(Ensemble([Outliner()])).analyze(block_scan((40, 40)))
    assert (outlined.probabilities, outlined.tumor_type, outlined.confidence, outlined.heatmap) == (None,) * 4
    named = Analyzer(Ensemble([Namer()])).analyze(block_scan((40, 40)))
    assert (named.mask, named.tumor_probability, named.heatmap, named.warnings) == (None, None, None, ())


def test_a_model_that_says_nan_gives_no_finding() -> None:
    with pytest.raises(TumorlensError, match="finite numbers"):
        Analyzer(Ensemble([Namer((np.nan, 0, 0))])).analyze(block_scan((40, 40)))


# --- From a bundle ----------------------------------------------------------------------------------------


def test_a_bundle_may_be_given_as_itself_or_by_its_path(tmp_path: Path) -> None:
    bundle = write_small(tmp_path / "b")
    scan = block_scan((64, 50))
    findings = [
        Analyzer(source).analyze(scan)
        for source in (bundle, bundle.folder, str(bundle.folder), bundle.load())
    ]
    for finding in findings:
        assert_same(finding, findings[0])
    assert findings[0].model == "small"
    assert findings[0].tumor_type is TumorType.GLIOMA
    assert findings[0].mask is not None
    assert overlap(findings[0].mask[0], block((64, 50))) > 0.85
    assert findings[0].strangeness is not None


def test_the_default_is_the_bundle_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tumorlens.bundle import bundle, default_bundle

    written = write_small(tmp_path / "b", name="the default")
    monkeypatch.setattr(bundle, "_DEFAULT", written.folder)
    default_bundle.cache_clear()
    assert Analyzer().analyze(block_scan((40, 40))).model == "the default"
    default_bundle.cache_clear()


def test_a_bundle_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TumorlensError, match="expected a bundle of 'tumorlens export'"):
        Analyzer(tmp_path / "absent")


def test_the_package_hands_out_what_a_user_imports() -> None:
    import tumorlens

    assert tumorlens.Analyzer is Analyzer
    assert tumorlens.Finding is Finding
    assert tumorlens.Scan is Scan
    with pytest.raises(AttributeError, match="no attribute 'Analyser'"):
        tumorlens.Analyser  # noqa: B018


def test_a_warm_analyzer_makes_no_further_session(monkeypatch: pytest.MonkeyPatch) -> None:
    from tumorlens.bundle import session

    made: list[int] = []
    real = session._session
    monkeypatch.setattr(session, "_session", lambda *given: (made.append(given[2]), real(*given))[1])
    monkeypatch.setattr("tumorlens.parallel.processors", lambda: 2)
    analyzer = Analyzer()
    analyzer.warm()
    before = sorted(made)
    assert before == [1, 1, 2, 2]  # two networks, each for all cores and for one of many
    analyzer.analyze_batch([Scan(np.random.default_rng(0).random((1, 64, 64)), Path("a"))] * 9)
    assert sorted(made) == before
