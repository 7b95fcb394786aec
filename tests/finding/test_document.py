"""A finding as JSON that any program reads."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tumorlens.finding import Confidence, Finding, FindingWarning, WarningKind, write_json
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

KEYS = [
    "schema_version", "tumorlens", "source", "shape", "spacing_mm", "model", "tumor_type", "probabilities",
    "confidence", "tumor_pixels", "area_mm2", "warnings", "notice",
]  # fmt: skip


def document(finding: Finding, folder: Path) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    write_json(finding, folder / "deep" / "a.json")
    text = (folder / "deep" / "a.json").read_text()
    assert text.endswith("}\n")
    values: dict[str, Any] = json.loads(text, parse_constant=refuse)
    assert list(values) == KEYS
    assert [path.name for path in (folder / "deep").iterdir()] == ["a.json"]
    return values


def test_a_whole_finding_is_told_whole(tmp_path: Path) -> None:
    mask = np.zeros((2, 4, 6), np.bool_)
    mask[:, 1, 1:4] = True
    finding = Finding(
        Scan(np.ones((2, 4, 6), np.int16), Path("somewhere/else/slice.mat"), (0.5, 0.25)),
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
    assert values["schema_version"] == 1
    assert values["source"] == "slice.mat"
    assert (values["shape"], values["spacing_mm"]) == ([2, 4, 6], [0.5, 0.25])
    assert (values["model"], values["tumor_type"]) == ("mine", "glioma")
    assert values["probabilities"] == {"meningioma": 0.123457, "glioma": 0.8, "pituitary tumor": 0.076543}
    assert values["confidence"] == {"word": "high", "accuracy": 0.99, "slices": 1234}
    assert (values["tumor_pixels"], values["area_mm2"]) == (6, 0.8)
    assert values["warnings"] == [
        {"kind": "unsure", "message": "unsure", "score": 0.1, "limit": 0.2},
        {"kind": "edge", "message": "edge", "score": 3, "limit": 1},
    ]
    assert "not a diagnosis" in values["notice"]


def test_what_was_not_found_is_null(tmp_path: Path) -> None:
    values = document(Finding(Scan(np.ones((1, 4, 6)), Path("a.png")), None, None), tmp_path)
    for key in (
        "spacing_mm",
        "model",
        "tumor_type",
        "probabilities",
        "confidence",
        "tumor_pixels",
        "area_mm2",
    ):
        assert values[key] is None
    assert values["warnings"] == []


def test_a_word_that_was_never_measured_has_no_accuracy(tmp_path: Path) -> None:
    probabilities = dict.fromkeys(TumorType, 1 / 3)
    finding = Finding(
        Scan(np.ones((1, 4, 6)), Path("a")), None, probabilities, confidence=Confidence("low", 1 / 3, None, 0)
    )
    assert document(finding, tmp_path)["confidence"] == {"word": "low", "accuracy": None, "slices": 0}
