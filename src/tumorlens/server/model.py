"""The model that a server looks with, and what is to be known of it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tumorlens.analyze import Analyzer
from tumorlens.bundle import Bundle, open_bundle
from tumorlens.bundle.manifest import Manifest
from tumorlens.tumor_type import TumorType

_SEEN = (
    "Contrast-enhanced T1 slices, axial, coronal and sagittal, of one published collection of hospital "
    "patients, each chosen because it shows a meningioma, a glioma or a pituitary tumor."
)
_NOT_SEEN = (
    "Brains without a tumor; other tumors, such as metastases, lymphomas or schwannomas; other sequences; "
    "scans of children or after surgery, as far as the collection tells; other hospitals."
)
_ASK_CARD = "Not known to this program; the model's card may tell."


class Band(BaseModel):
    """What a word of confidence means."""

    word: str = Field(examples=["high"])
    from_probability: float = Field(description="Of the named type.", examples=[0.9])
    accuracy: float | None = Field(description="Share of slices with this word that were named rightly.")
    slices: int = Field(description="On how many that was measured.")


class ModelPart(BaseModel):
    """A model and what is known of it."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(examples=["lite-joint-7"])
    default: bool = Field(description="Whether it is the one that is used.")
    classes: tuple[str, ...] = Field(description="The tumor types that it can name.")
    trained_on: str = Field(description="The data.")
    seen: str = Field(description="What it has seen, in a sentence.")
    not_seen: str = Field(description="What it hasn't.")
    confidence: tuple[Band, ...] = Field(description="The words of confidence, the highest first.")
    results: dict[str, Any] = Field(description="What was measured, by the measure's name.")
    card: str = Field(description="The model card, in Markdown; may be empty.")


class Models(BaseModel):
    """The models of a server."""

    models: tuple[ModelPart, ...]


@dataclass(frozen=True)
class ServedModel:
    """A model that is loaded.

    Attributes:
        analyzer: Looks at scans.
        key: Changes with everything that a finding depends on.
        facts: For clients.
    """

    analyzer: Analyzer
    key: str
    facts: ModelPart


def load(path: Path | None = None) -> ServedModel:
    """Load a bundle, by default the one that comes along.

    Raises:
        TumorlensError: It is damaged, too new or not there.
    """
    bundle = open_bundle(path)
    digest = hashlib.sha256(" ".join(member.sha256 for member in bundle.manifest.members).encode())
    digest.update(bundle.manifest.judgement.model_dump_json().encode())
    analyzer = Analyzer(bundle)
    analyzer.warm()
    return ServedModel(analyzer, digest.hexdigest()[:32], _facts(bundle, ours=path is None))


def of_analyzer(analyzer: Analyzer) -> ServedModel:
    """A model without a bundle."""
    name = analyzer.name or "model"
    facts = ModelPart(
        name=name,
        default=True,
        classes=tuple(each.title for each in TumorType),
        trained_on=_ASK_CARD,
        seen=_ASK_CARD,
        not_seen=_ASK_CARD,
        confidence=(),
        results={},
        card="",
    )
    return ServedModel(analyzer, name, facts)


def _facts(bundle: Bundle, *, ours: bool) -> ModelPart:
    manifest = bundle.manifest
    return ModelPart(
        name=manifest.name,
        default=True,
        classes=manifest.classes,
        trained_on=_trained_on(manifest),
        seen=_SEEN if ours else _ASK_CARD,
        not_seen=_NOT_SEEN if ours else _ASK_CARD,
        confidence=tuple(Band(**dict(band)) for band in manifest.judgement.bands),
        results={each.measure: each.model_dump(exclude={"measure"}) for each in manifest.results},
        card=bundle.card() or "",
    )


def _trained_on(manifest: Manifest) -> str:
    training = manifest.training
    patients = "" if training.patients is None else f" of {training.patients} patients"
    return f"{training.dataset} ({training.licence}): {training.slices} slices{patients}"
