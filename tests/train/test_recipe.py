"""Recipes are checked whole before anything starts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorlens.errors import TumorlensError
from tumorlens.train.recipe import AugmentationRecipe, ClassificationRecipe, PatientSplit, SegmentationRecipe
from tumorlens.train.recipe_file import dump_recipe, load_recipe, shipped_recipes


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_is_valid_and_carries_its_name(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    named = {task for task in ("classification", "joint") if task in name}
    assert recipe.task == (named.pop() if named else "segmentation")


def test_the_paper_s_segmentation_recipe_holds_the_paper_s_settings() -> None:
    recipe = load_recipe("paper-segmentation")
    assert isinstance(recipe, SegmentationRecipe)
    assert recipe.size == 224
    assert (recipe.model.encoder, recipe.model.weights, recipe.model.gray) == ("resnet50", "auto", "average")
    assert recipe.loss.cross_entropy == recipe.loss.dice == 1
    change = recipe.augmentation
    assert change.probability == 0.5
    assert change.rotation > 0
    assert change.horizontal_flip
    assert change.vertical_flip
    assert change.crop < 1


def test_the_paper_s_classification_recipe_trains_the_last_block_first() -> None:
    recipe = load_recipe("paper-classification")
    assert isinstance(recipe, ClassificationRecipe)
    assert recipe.size == 224
    assert (recipe.model.encoder, recipe.model.weights, recipe.model.gray) == ("resnet50", "auto", "average")
    assert [phase.trainable for phase in recipe.training.phases] == ["last-block", "all"]
    assert recipe.augmentation.probability == 0.5


@pytest.mark.parametrize("name", ["paper-segmentation", "paper-classification"])
def test_the_paper_s_recipes_draw_patients(name: str) -> None:
    split = load_recipe(name).split
    assert isinstance(split, PatientSplit)
    assert split.validation == split.test == 0.15


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("training.batchsize=8", "unknown key training.batchsize; did you mean training.batch_size?"),
        ("model.encodr=resnet18", "unknown key model.encodr; did you mean model.encoder?"),
        ("augmentation.rotaton=3", "unknown key augmentation.rotaton; did you mean augmentation.rotation?"),
        ("modell.encoder=resnet18", "unknown key modell; did you mean model?"),
        (
            "training.phases.0.lerning_rate=1",
            r"unknown key training\.phases\.0\.lerning_rate; did you mean .*phases\.0\.learning_rate?",
        ),
        (
            "augmentation={lesion_probability: 0.7, healthy_probability: 0.4}",
            "augmentation: .*lesion_probability and healthy_probability .*at most 1, got .*0.7.*0.4",
        ),
        ("augmentation.lesion_probability=1.5", "augmentation.lesion_probability: .*1, got 1.5"),
        ("augmentation.healthy_probability=-0.1", "augmentation.healthy_probability: .*0, got -0.1"),
        ("augmentation.healthy_probability=often", "augmentation.healthy_probability: .*'often'"),
        (
            "augmentation.lesion_probabilty=0.1",
            "unknown key augmentation.lesion_probabilty; did you mean augmentation.lesion_probability?",
        ),
        ("training.precision=64", "training.precision: .*'32'.*'bf16', got '64'"),
        ("training.precision=bfloat16", "training.precision: .*got 'bfloat16'"),
        ("training.batch_size=many", "training.batch_size: .*integer.*'many'"),
        ("training.batch_size=0", "training.batch_size: .*greater than or equal to 1"),
        ("training.phases=[]", "training.phases: "),
        ("training.phases.1.epochs=3", r"--set training\.phases\.1\.epochs=3"),
        ("training.phases.first.epochs=3", r"--set training\.phases\.first"),
        ("model.gray=colored", "model.gray: .*'average' or 'replicate'"),
        ("split.kind=slices", "split.kind: .*'folds', 'patients'.*'slices'"),
        ("split.validation=0.9", "leave patients to train on"),
        ("size=16", "size: "),
        ("model=5", "model: .*got 5"),
        ("model.encoder.name=5", r"--set model\.encoder\.name=5"),
        ("training.seed=-1", "training.seed: "),
        ("training.seed=10000000000000", "training.seed: "),
        ("split.seed=-1", "split.seed: "),
        ("training.phases.0.learning_rate=.inf", "learning_rate: .*finite"),
        ("folds=[1, 2]", "unknown key folds"),
        ("batch_size", "expected key=value"),
        ("name=[", r"--set name=\["),
        ("name=2024-13-45", r"--set name=2024-13-45"),
    ],
)
def test_a_mistake_is_named(override: str, named: str) -> None:
    with pytest.raises(TumorlensError, match=named):
        load_recipe("smoke", [override])


def test_a_key_of_the_other_task_is_not_suggested_in_place_of_itself() -> None:
    with pytest.raises(TumorlensError, match=r"unknown key model\.decoder_channels") as caught:
        load_recipe("smoke-classification", ["model.decoder_channels=[8]"])
    assert "did you mean model.decoder_channels" not in str(caught.value)


def test_a_misspelt_recipe_is_told_its_nearest_neighbour() -> None:
    with pytest.raises(
        TumorlensError, match=r"recipe papersegmentation: .*did you mean paper-segmentation\?"
    ):
        load_recipe("papersegmentation")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("task: [", "expected YAML"),
        ("- 1", "expected keys and values, got list"),
        ("", "expected keys and values, got NoneType"),
        ("task: segmentation", "expected the key split, found none"),
        ("task: denoising", "'segmentation', 'classification'"),
        ("size: 224", "task"),
        ("task: segmentation\nsize: 2024-13-45", "expected YAML"),
        ("!!python/object/apply:os.abort []", "expected YAML"),
    ],
)
def test_a_broken_file_is_explained(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(TumorlensError, match=named) as caught:
        load_recipe(str(tmp_path / "mine.yaml"))
    assert "mine.yaml" in str(caught.value)


def test_overrides_reach_nested_keys_and_list_items() -> None:
    overrides = ["training.phases.0.epochs=7", "model.decoder_channels.1=24", "augmentation.gamma=0.25"]
    recipe = load_recipe("smoke", [*overrides, "training.precision=32"])
    assert recipe.training.phases[0].epochs == 7
    assert recipe.training.phases[0].learning_rate == 1e-3
    assert isinstance(recipe, SegmentationRecipe)
    assert recipe.model.decoder_channels == (32, 24, 16)
    assert recipe.augmentation.gamma == 0.25
    assert recipe.training.precision == "32"


def test_overrides_of_the_augmentation_reach_every_phase_that_has_none_of_that_kind_itself() -> None:
    plain, changed = load_recipe("lite-joint"), load_recipe("lite-joint", ["augmentation.rotation=40"])
    assert [each.transplant_probability for each in changed.augmentations] == [0, 0, 0.4]
    assert [each.rotation for each in changed.augmentations] == [40, 40, 40]
    assert changed.augmentations[2].gamma == plain.augmentations[2].gamma == 0.5
    of_one = load_recipe("lite-joint", ["training.phases.1.augmentation.rotation=3"])
    assert [each.rotation for each in of_one.augmentations] == [15, 3, 15]
    again = type(changed).model_validate(changed.model_dump(mode="json"))
    assert again == changed


@given(lesion=st.integers(0, 100))
def test_the_lesion_s_two_probabilities_may_sum_to_one(lesion: int) -> None:
    shares = f"{{lesion_probability: {lesion / 100}, healthy_probability: {(100 - lesion) / 100}}}"
    change = load_recipe("smoke", [f"augmentation={shares}"]).augmentation
    assert change.lesion_probability == lesion / 100


def test_lesions_are_left_alone_unless_a_recipe_says_otherwise() -> None:
    change = AugmentationRecipe(probability=1)
    assert change.lesion_probability == change.healthy_probability == 0


def test_the_last_of_two_overrides_of_a_key_wins() -> None:
    assert load_recipe("smoke", ["size=96", "size=128"]).size == 128


def test_a_file_s_recipe_is_named_by_the_file(tmp_path: Path) -> None:
    text = dump_recipe(load_recipe("smoke")).replace("name: smoke\n", "")
    (tmp_path / "mine.yaml").write_text(text)
    assert load_recipe(str(tmp_path / "mine.yaml")).name == "mine"


_NUMBERS = st.floats(min_value=1e-12, max_value=1, exclude_max=True)
_PHASES = st.lists(
    st.fixed_dictionaries(
        {
            "epochs": st.integers(1, 99),
            "learning_rate": _NUMBERS,
            "trainable": st.sampled_from(["all", "last-block", "head"]),
            "schedule": st.sampled_from(["constant", "cosine"]),
            "warmup_epochs": _NUMBERS,
        }
    ),
    min_size=1,
    max_size=3,
)


@given(
    name=st.text(min_size=1, alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])),
    phases=_PHASES,
    channels=st.lists(st.integers(1, 512), min_size=1, max_size=5),
    rotation=_NUMBERS,
    weights=st.sampled_from(["auto", "none", "~/weights: new.pt", "1e3", "null", "größe.pt"]),
    precision=st.sampled_from(["auto", "32", "16", "bf16"]),
)
def test_a_dumped_recipe_loads_as_itself(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    phases: list[dict[str, object]],
    channels: list[int],
    rotation: float,
    weights: str,
    precision: str,
) -> None:
    values = load_recipe("smoke").model_dump()
    values["name"] = name
    values["training"] |= {"phases": phases, "precision": precision}
    values["model"] |= {"decoder_channels": channels, "weights": weights}
    values["augmentation"]["rotation"] = rotation
    recipe = SegmentationRecipe.model_validate(values)
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(dump_recipe(recipe))
    assert load_recipe(str(path)) == recipe
