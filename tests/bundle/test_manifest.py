"""bundle.json holds what its schema says, and nothing else is taken for one."""

import copy
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.bundle.small import small_files, small_manifest
from tumorlens.bundle import Bundle, Manifest, open_bundle
from tumorlens.bundle.describe import describe
from tumorlens.bundle.manifest import Member, Result, dump, json_schema
from tumorlens.errors import TumorlensError

Values = dict[str, Any]


@pytest.fixture(scope="module")
def good() -> Values:
    results = (Result(measure="Dice", value=0.8, low=0.7, high=0.9, protocol="by hand", slices=3),)
    values: Values = json.loads(dump(small_manifest(small_files(), results=results)))
    return values


def opened(text: str | bytes, folder: Path) -> Bundle:
    (folder / "bundle.json").write_bytes(text.encode() if isinstance(text, str) else text)
    return open_bundle(folder)


def refusal(text: str | bytes, folder: Path) -> str:
    with pytest.raises(TumorlensError) as caught:
        opened(text, folder)
    message = str(caught.value)
    assert message.isprintable()
    assert "bundle.json: expected" in message
    assert len(message) < 600
    return message


def places(values: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of a document, but what is inside of a recipe."""
    yield path
    items = (
        values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    )
    for key, value in items:
        if key != "recipe":
            yield from places(value, (*path, key))


def changed(values: Values, path: tuple[str | int, ...], value: object) -> str:
    document = copy.deepcopy(values)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(document)


def at(values: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def test_the_schema_in_the_package_is_that_of_the_manifest() -> None:
    text = (resources.files("tumorlens.bundle") / "bundle.schema.json").read_text()
    assert json.loads(text) == json_schema()
    assert text == json.dumps(json_schema(), indent=1) + "\n"


def test_a_manifest_survives_its_file(good: Values, tmp_path: Path) -> None:
    manifest = opened(json.dumps(good), tmp_path).manifest
    assert json.loads(dump(manifest)) == good
    assert Manifest.model_validate_json(dump(manifest)) == manifest
    assert dump(manifest).endswith("}\n")


@pytest.mark.parametrize(
    ("version", "named"),
    [
        (2, "expected a bundle of schema 1, got 2; it was written by tumorlens 0.0.0: pip install --upgrade"),
        (10**40, "pip install --upgrade tumorlens"),
        ("1", "expected schema_version 1, got 1"),
        (True, "expected schema_version 1, got True"),
        (1.0, "expected schema_version 1, got 1.0"),
        (0, "got 0"),
        (-1, "got -1"),
        (None, "got None"),
        ([1], "got [1]"),
    ],
)
def test_another_schema_is_refused(version: object, named: str, good: Values, tmp_path: Path) -> None:
    assert named in refusal(json.dumps({**good, "schema_version": version}), tmp_path)


def test_a_newer_bundle_of_an_author_with_a_long_name_still_takes_one_line(
    good: Values, tmp_path: Path
) -> None:
    for author in ("\x1b[2J\n" * 500, {"a": "b"}, None):
        refusal(json.dumps({**good, "schema_version": 3, "tumorlens": author}), tmp_path)


@pytest.mark.parametrize(
    "key", ["schema_version", "name", "tumorlens", "created", "size", "graphs", "parity", "training"]
)
def test_a_missing_key_is_refused(key: str, good: Values, tmp_path: Path) -> None:
    document = {name: value for name, value in good.items() if name != key}
    message = refusal(json.dumps(document), tmp_path)
    assert key in message or "damaged" in message


def test_an_unknown_key_is_refused_wherever_it_is(good: Values, tmp_path: Path) -> None:
    groups = [path for path in places(good) if isinstance(at(good, path), dict)]
    assert len(groups) >= 7
    for path in groups:
        assert "smuggled: Extra inputs" in refusal(changed(good, (*path, "smuggled"), 1), tmp_path)


@pytest.mark.parametrize("key", ["two\nlines", "\x1b[2J", "x" * 5000, "", "\ud800"])
def test_an_unknown_key_takes_no_second_line(key: str, good: Values, tmp_path: Path) -> None:
    refusal(json.dumps({**good, key: 1}), tmp_path)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_what_is_no_number_is_refused_wherever_it_is(value: str, good: Values, tmp_path: Path) -> None:
    numbers = [path for path in places(good) if type(at(good, path)) in (int, float)]
    numbers.append(("graphs", 0, "recipe", "rate"))
    assert len(numbers) > 15
    for path in numbers:
        refusal(changed(good, path, "HERE").replace('"HERE"', value), tmp_path)


def test_a_value_of_another_type_is_refused_wherever_it_is(good: Values, tmp_path: Path) -> None:
    for path in places(good):
        if path and path != ("graphs", 0, "recipe"):
            value = at(good, path)
            wrong: object = str(value) if isinstance(value, int | float) else {"other": 1}
            refusal(changed(good, path, wrong), tmp_path)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", "C:x", "C:\\x", ".hidden", "a\n", "a\0", "~", "-r",
     "é.onnx", "x" * 101, "a b", "//server/share", "file:a"],
)  # fmt: skip
@pytest.mark.parametrize("place", [("graphs", 0, "file"), ("familiarity", "file")])
def test_a_member_lies_in_the_bundle_s_own_folder(
    name: str, place: tuple[str | int, ...], good: Values, tmp_path: Path
) -> None:
    assert "file" in refusal(changed(good, place, name), tmp_path)


@given(st.text(max_size=12) | st.from_regex(r"[./\\A-Za-z0-9:_-]{1,12}", fullmatch=True))
def test_no_name_that_is_taken_leads_elsewhere(name: str) -> None:
    try:
        file = Member(file=name, sha256="0" * 64, bytes=1).file
    except ValidationError:
        return
    for path in (PurePosixPath(file), PureWindowsPath(file)):
        assert path.parts == (file,)
    assert file not in (".", "..")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("graphs",), []),
        (("graphs", 0, "outputs"), []),
        (("graphs", 0, "outputs", 0), "attention"),
        (("graphs", 0, "precision"), "fp8"),
        (("graphs", 0, "sha256"), "0" * 63),
        (("graphs", 0, "sha256"), "G" * 64),
        (("graphs", 0, "bytes"), 0),
        (("graphs", 0, "bytes"), -5),
        (("size",), 31),
        (("size",), 10**9),
        (("normalisation",), "z-score"),
        (("classes",), ["glioma", "meningioma", "pituitary tumor"]),
        (("classes",), ["meningioma", "glioma"]),
        (("created",), "yesterday"),
        (("created",), 5),
        (("flip",), "yes"),
        (("flip",), 1),
        (("center_crop",), 0.2),
        (("center_crop",), 1.1),
        (("name",), ""),
        (("name",), "\x1b[31mred"),
        (("name",), "two\nlines"),
        (("notice",), "a\rb"),
        (("training", "licence"), "a\nb"),
        (("parity", "same_types"), 1.01),
        (("judgement", "temperature"), 0),
        (("judgement", "temperature"), 1e-320),
        (("judgement", "temperature"), 1e300),
        (("judgement", "threshold"), 1),
        (("judgement", "lowest_threshold"), 0.6),
        (("judgement", "bands"), []),
        (("judgement", "bands", 0, "word"), "certain"),
        (("judgement", "bands", 2, "from_probability"), 0.1),
        (("judgement", "bands", 1, "from_probability"), 0.9),
        (("judgement", "bands", 0, "accuracy"), 1.2),
    ],
)
def test_a_value_out_of_range_is_refused(
    path: tuple[str | int, ...], value: object, good: Values, tmp_path: Path
) -> None:
    refusal(changed(good, path, value), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b" ", b"{", b"[]", b"null", b"1", b'"schema_version"', b"\xff\xfe\0{", b"\xef\xbb\xbf{}",
        b'{"schema_version": 1' + b", " * 99, b"[" * 500_000, b'{"a":' * 200_000,
        b'{"schema_version": 1, "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"schema_version": ' + b"1" * 5000 + b"}",
        b"{" + b" " * (1 << 20) + b"}",
    ],
    ids=range(15),
)  # fmt: skip
def test_what_is_no_manifest_is_refused(content: bytes, tmp_path: Path) -> None:
    refusal(content, tmp_path)


def test_every_cut_through_a_manifest_is_noticed(good: Values, tmp_path: Path) -> None:
    whole = json.dumps(good).encode()
    for length in range(0, len(whole), 37):
        refusal(whole[:length], tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_gives_one_line_or_a_bundle_that_can_be_shown(
    data: st.DataObject, good: Values, tmp_path: Path
) -> None:
    path = data.draw(st.sampled_from([path for path in places(good) if path]))
    try:
        bundle = opened(changed(good, path, data.draw(JSON)), tmp_path)
    except TumorlensError as error:
        assert str(error).isprintable()  # noqa: PT017 - the value may also be valid there
    else:
        assert Manifest.model_validate_json(dump(bundle.manifest)) == bundle.manifest
        assert all(line.isprintable() for line in describe(bundle.manifest).split("\n"))


def test_a_manifest_in_words_names_what_matters(good: Values, tmp_path: Path) -> None:
    text = describe(opened(json.dumps(good), tmp_path).manifest)
    for part in ("small: ", "32 × 32", "min-max", "model-1.onnx: mask_logits, class_logits, class_maps",
                 "trained on: 4 slices of folds 1, 2, drawn (CC0)", "temperature: 1",
                 "high confidence: from 90%",
                 "Dice: 0.800 (0.700 to 0.900); 3 slices, by hand", "not a diagnosis"):  # fmt: skip
        assert part in text
    assert "mirror" not in text
    judged = {
        **good["judgement"],
        "bands": [{"word": "high", "from_probability": 0, "accuracy": 0.9876, "slices": 45}],
    }
    text = describe(opened(json.dumps({**good, "judgement": judged, "flip": True}), tmp_path).manifest)
    assert "high confidence: from 0%: right in 98.8% of 45 slices" in text
    assert "averaged over both mirror images" in text
    assert "crop" not in text
    cropped = {**good, "flip": True, "center_crop": 0.8}
    limits = {"below_dice": 0.85, "below_probability": 0}
    text = describe(opened(json.dumps(cropped), tmp_path).manifest)
    assert "averaged over both mirror images, the center crop of 80%" in text
    cropped["judgement"] = {**good["judgement"], "second_look": limits, "third_look": limits}
    text = describe(opened(json.dumps(cropped), tmp_path).manifest)
    where = "where a Dice below 0.85 is expected"
    assert f"looked at again {where}, also mirrored, the center crop of 80%\n" in text
