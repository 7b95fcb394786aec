"""A finding as JSON that any program reads."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.finding.made import IDENTITY, dicom_scan, whole_finding
from tumorlens.finding import Confidence, Finding, FindingWarning, WarningKind, write_json
from tumorlens.finding.document import FindingDocument, json_schema
from tumorlens.finding.document import document as document_of
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

KEYS = [
    "schema_version", "tumorlens", "source", "series", "reason", "shape", "spacing_mm", "slice_spacing_mm",
    "plane", "affine", "model", "tumor_type", "probabilities", "confidence", "tumor_pixels", "key_slice",
    "area_mm2", "volume_mm3", "diameters", "slices", "warnings", "identity", "notice",
]  # fmt: skip


def document(finding: Finding, folder: Path, *, keep_identity: bool = False) -> dict[str, Any]:
    """What is written, once it proved to be JSON of the schema."""

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    write_json(finding, folder / "deep" / "a.json", keep_identity=keep_identity)
    text = (folder / "deep" / "a.json").read_text()
    assert text.endswith("}\n")
    values: dict[str, Any] = json.loads(text, parse_constant=refuse)
    assert list(values) == KEYS
    assert [path.name for path in (folder / "deep").iterdir()] == ["a.json"]
    assert FindingDocument.model_validate_json(text, strict=True).model_dump(mode="json") == values
    assert values == document_of(finding, keep_identity=keep_identity)
    return values


def test_a_whole_finding_is_told_whole(tmp_path: Path) -> None:
    mask = np.zeros((3, 4, 6), np.bool_)
    mask[1, 1, 1:4] = True
    mask[2, 1:3, 1:5] = True
    affine = np.array([[0, 0, 0.25, -9.5], [0, 0.5, 0, 2], [4, 0, 0, 7], [0, 0, 0, 1]])
    finding = Finding(
        Scan(
            np.ones((3, 4, 6), np.int16),
            Path("somewhere/else/slice.nii"),
            (0.5, 0.25),
            slice_spacing=4.0,
            affine=affine,
            series="MR, t1",
            reason="series 2 of 3: MR",
        ),
        mask,
        dict(zip(TumorType, np.float64([0.123456789, 0.8, 0.076543211]), strict=True)),
        confidence=Confidence("high", 0.8, 0.99, 1234),
        warnings=(
            FindingWarning(WarningKind.UNSURE, "unsure", 0.1000000001, np.float64(0.2)),
            FindingWarning(WarningKind.EDGE, "edge", 3, 1),
        ),
        model="mine",
    )
    values = document(finding, tmp_path)
    assert values["schema_version"] == 2
    assert (values["source"], values["series"], values["reason"]) == (
        "slice.nii",
        "MR, t1",
        "series 2 of 3: MR",
    )
    assert (values["shape"], values["spacing_mm"], values["slice_spacing_mm"]) == ([3, 4, 6], [0.5, 0.25], 4)
    assert (values["plane"], values["affine"]) == ("axial", affine.tolist())
    assert (values["model"], values["tumor_type"]) == ("mine", "glioma")
    assert values["probabilities"] == {"meningioma": 0.123457, "glioma": 0.8, "pituitary tumor": 0.076543}
    assert values["confidence"] == {"word": "high", "accuracy": 0.99, "slices": 1234}
    assert (values["tumor_pixels"], values["area_mm2"], values["volume_mm3"]) == (11, 1.0, 5.5)
    assert values["key_slice"] == 2
    assert values["slices"] == [
        {"slice": 1, "tumor_pixels": 3, "area_mm2": 0.4},
        {"slice": 2, "tumor_pixels": 8, "area_mm2": 1.0},
    ]
    diameters = values["diameters"]
    assert diameters["slice"] == 2
    assert diameters["longest_mm"] == pytest.approx(np.sqrt(2), abs=0.01)
    assert sorted(map(sorted, zip(*diameters["longest_ends"], strict=True))) == [[0.5, 2.5], [0.5, 4.5]]
    assert values["warnings"] == [
        {"kind": "unsure", "message": "unsure", "score": 0.1, "limit": 0.2},
        {"kind": "edge", "message": "edge", "score": 3, "limit": 1},
    ]
    assert values["identity"] is None
    assert "not a diagnosis" in values["notice"]


def test_what_was_not_found_is_null(tmp_path: Path) -> None:
    values = document(Finding(Scan(np.ones((1, 4, 6)), Path("a.png")), None, None), tmp_path)
    filled = {"schema_version", "tumorlens", "source", "shape", "key_slice", "warnings", "notice"}
    assert {key for key, value in values.items() if value is not None} == filled
    assert values["warnings"] == []


def test_an_outline_without_a_spacing_is_counted_in_pixels(tmp_path: Path) -> None:
    mask = np.zeros((2, 4, 6), np.bool_)
    mask[0, 1, 2:4] = True
    values = document(Finding(Scan(np.ones(mask.shape), Path("a.tif")), mask, None), tmp_path)
    assert values["tumor_pixels"] == 2
    assert values["slices"] == [{"slice": 0, "tumor_pixels": 2, "area_mm2": None}]
    assert [values[key] for key in ("area_mm2", "volume_mm3", "diameters")] == [None] * 3


def test_an_empty_outline_is_no_pixels_and_no_slices(tmp_path: Path) -> None:
    mask = np.zeros((2, 4, 6), np.bool_)
    scan = Scan(np.ones(mask.shape), Path("a"), (1, 1), slice_spacing=2)
    values = document(Finding(scan, mask, None), tmp_path)
    assert (values["tumor_pixels"], values["slices"], values["diameters"]) == (0, [], None)
    assert (values["area_mm2"], values["volume_mm3"]) == (0, 0)


def test_a_word_that_was_never_measured_has_no_accuracy(tmp_path: Path) -> None:
    probabilities = dict.fromkeys(TumorType, 1 / 3)
    finding = Finding(
        Scan(np.ones((1, 4, 6)), Path("a")), None, probabilities, confidence=Confidence("low", 1 / 3, None, 0)
    )
    assert document(finding, tmp_path)["confidence"] == {"word": "low", "accuracy": None, "slices": 0}


def test_sizes_that_an_absurd_spacing_makes_infinite_are_null(tmp_path: Path) -> None:
    mask = np.ones((2, 4, 6), np.bool_)
    scan = Scan(np.ones(mask.shape), Path("a"), (1e200, 1e200), slice_spacing=1e200)
    with np.errstate(over="ignore", invalid="ignore"):
        values = document(Finding(scan, mask, None), tmp_path)
    assert values["area_mm2"] is None
    assert values["volume_mm3"] is None
    assert values["slices"][0]["area_mm2"] is None


def test_the_identity_is_told_where_it_is_asked_for_and_only_there(tmp_path: Path) -> None:
    finding = whole_finding(dicom_scan(source="Muster_Erika.dcm", series="MR, t1 of Erika"))
    hidden = document(finding, tmp_path)
    assert hidden["identity"] is None
    assert (hidden["source"], hidden["series"]) == ("scan.dcm", "MR, t1 of [removed]")
    text = json.dumps(hidden)
    assert not [value for value in vars(IDENTITY).values() if len(value) > 2 and value in text]
    kept = document(finding, tmp_path, keep_identity=True)
    assert kept["identity"] == vars(IDENTITY)
    assert (kept["source"], kept["series"]) == ("Muster_Erika.dcm", "MR, t1 of Erika")


def test_the_schema_in_the_package_is_that_of_the_documents() -> None:
    text = (resources.files("tumorlens.finding") / "finding.schema.json").read_text()
    assert text == json.dumps(json_schema(), indent=1) + "\n"
    schema = json.loads(text)
    assert list(schema["properties"]) == KEYS == schema["required"]
    assert all("description" in each for each in schema["properties"].values())
    parts = [schema, *schema["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in parts if part["type"] == "object")


@pytest.mark.parametrize(
    "change",
    [{"more": 1}, {"schema_version": 1}, {"area_mm2": -1.0}, {"affine": [[1.0]]}, {"tumor_type": "abscess"}],
)
def test_what_does_not_fit_the_schema_is_refused(change: dict[str, Any]) -> None:
    values = document_of(whole_finding(dicom_scan()))
    text = json.dumps({**values, **change})
    with pytest.raises(ValidationError):
        FindingDocument.model_validate_json(text, strict=True)
