"""Recipes as YAML: found by name or path, overridden, checked, and complained about in words."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from tumorlens.errors import TumorlensError
from tumorlens.train.recipe import ClassificationRecipe, JointRecipe, Recipe, SegmentationRecipe

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
