"""``bundle.json``: what a bundle says of itself. Its JSON schema is ``bundle.schema.json`` beside this."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tumorlens.judgement import CenterCrop, Judgement

SCHEMA_VERSION = 1

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]  # safe to print
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Output(StrEnum):
    """What a graph can hand out, by the names of its outputs; see `tumorlens.ensemble.Outputs`."""

    MASK_LOGITS = "mask_logits"
    CLASS_LOGITS = "class_logits"
    CLASS_MAPS = "class_maps"


class Precision(StrEnum):
    """How a graph's weights are stored, and what it calculates with.

    ``FP32``: 32 bits. ``FP16``: stored in 16 bits, calculated in 32. ``INT8``: stored and calculated in
    8-bit integers.
    """

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class Member(_Part):
    """A file of the bundle.

    Attributes:
        file: Its name in the bundle's folder.
        sha256: Of its content.
        bytes: Its size.
    """

    file: FileName
    sha256: Sha256
    bytes: Annotated[int, Field(gt=0)]


class Graph(Member):
    """An ONNX graph with the input ``image`` (n, 1, size, size) in [0, 1].

    Attributes:
        outputs: Names of its outputs.
        precision: Of its weights.
        recipe: That it was trained by.
    """

    outputs: Annotated[tuple[Output, ...], Field(min_length=1)]
    precision: Precision = Precision.FP32
    recipe: dict[str, JsonValue]


class Parity(_Part):
    """How closely the graphs follow the networks that they were exported from.

    Attributes:
        slices: Compared.
        largest_difference: Of any probability, of a pixel or of a type.
        same_types: Share of slices with the same type.
        lowest_dice: Between the masks of a slice.
    """

    slices: Annotated[int, Field(gt=0)]
    largest_difference: Annotated[float, Field(ge=0)]
    same_types: Fraction
    lowest_dice: Fraction


class Training(_Part):
    """What the models were trained on.

    Attributes:
        dataset: Its name and where it is published.
        licence: Of the data.
        citation: How to cite it.
        slices: Trained on.
        patients: Trained on; None where the data don't say.
        folds: Trained on; None where the split isn't by folds.
        weights: What the encoder started from.
        commit: Of the source.
    """

    dataset: Line
    licence: Line
    citation: Line
    slices: Count
    patients: Count | None = None
    folds: tuple[int, ...] | None = None
    weights: Line
    commit: Line | None = None


class Result(_Part):
    """A measured number.

    Attributes:
        measure: Such as ``Dice`` or ``accuracy``, with the class where it is of one.
        value: Of the measure.
        low: Lower end of the 95% interval; None where there is none.
        high: Upper end.
        protocol: On which slices, by which models.
        slices: How many.
    """

    measure: Line
    value: float
    low: float | None = None
    high: float | None = None
    protocol: Line
    slices: Count


class Manifest(_Part):
    """Everything that a bundle says of itself.

    Attributes:
        schema_version: Of this file.
        name: Of the bundle.
        tumorlens: Version that wrote it.
        created: UTC.
        size: Width and height of the graphs' input, in pixels.
        normalisation: How a slice comes to [0, 1]; ``min-max``: by its smallest and largest value.
        classes: In the order of the graphs' outputs.
        flip: Whether slices are also looked at mirrored and the outputs averaged.
        center_crop: How much of a slice's width and height is seen when it is mirrored; where that is less
            than all, such a look counts for the outline alone (`tumorlens.ensemble.Ensemble`).
        judgement: Calibration and limits.
        graphs: The members that look at slices.
        familiarity: The member that knows what slices look like; None for none.
        card: The member that tells in Markdown what the models are for, on what they were measured and how
            they fail; None for none.
        parity: With the networks that the graphs come from.
        training: What was trained on.
        results: What was measured.
        notice: For whoever uses it.
    """

    schema_version: Literal[1]
    name: Name
    tumorlens: Line
    created: datetime
    size: Annotated[int, Field(ge=32, le=2048)]
    normalisation: Literal["min-max"] = "min-max"
    classes: tuple[Literal["meningioma"], Literal["glioma"], Literal["pituitary tumor"]] = (
        "meningioma",
        "glioma",
        "pituitary tumor",
    )
    flip: bool = False
    center_crop: CenterCrop = 1.0
    judgement: Judgement = Judgement()
    graphs: Annotated[tuple[Graph, ...], Field(min_length=1)]
    familiarity: Member | None = None
    card: Member | None = None
    parity: Parity
    training: Training
    results: tuple[Result, ...] = ()
    notice: Line = "Research use only; not a diagnosis."

    @property
    def members(self) -> tuple[Member, ...]:
        """Every file of the bundle but ``bundle.json``."""
        return (*self.graphs, *(each for each in (self.familiarity, self.card) if each is not None))


def json_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of ``bundle.json``."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Manifest.model_json_schema()}


def dump(manifest: Manifest) -> str:
    """``bundle.json`` of a manifest."""
    return json.dumps(manifest.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"
