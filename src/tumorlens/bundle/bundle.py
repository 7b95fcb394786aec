"""Opening a bundle: every byte is checked against its manifest before anything is made of it."""

import hashlib
import io
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from tumorlens.bundle.manifest import SCHEMA_VERSION, Graph, Manifest, Member
from tumorlens.bundle.session import OnnxModel
from tumorlens.ensemble import Ensemble
from tumorlens.errors import TumorlensError
from tumorlens.familiarity import Familiarity

MANIFEST = "bundle.json"
_LARGEST_MANIFEST = 1 << 20
_DEFAULT = Path(__file__).parent / "default"


@dataclass(frozen=True)
class Bundle:
    """A bundle's folder and what it says of itself; `load` reads and checks the members."""

    folder: Path
    manifest: Manifest

    def load(self) -> Ensemble:
        """The models, ready to look at slices.

        Raises:
            TumorlensError: A member is missing, damaged or not what the manifest says.
        """
        manifest = self.manifest
        with ThreadPoolExecutor() as pool:  # ONNX Runtime makes a graph ready on one core
            models = list(pool.map(self._model, manifest.graphs))
        return Ensemble(
            models=models,
            judgement=manifest.judgement,
            flip=manifest.flip,
            center_crop=manifest.center_crop,
            familiarity=self._familiarity(),
            name=manifest.name,
        )

    def _model(self, graph: Graph) -> OnnxModel:
        return OnnxModel(self.read(graph), graph, self.manifest.size)

    def verify(self) -> None:
        """Check every member and that it can be used.

        Raises:
            TumorlensError: As `load`.
        """
        self.load()
        self.card()

    def card(self) -> str | None:
        """The model card in Markdown, or None for none.

        Raises:
            TumorlensError: It is missing, damaged or no text.
        """
        member = self.manifest.card
        if member is None:
            return None
        try:
            return self.read(member).decode()
        except UnicodeDecodeError as error:
            raise TumorlensError(
                f"{self.folder / member.file}: expected text in UTF-8, but {error.reason}"
            ) from error

    def read(self, member: Member) -> bytes:
        """A member's bytes, once they are what the manifest says.

        Raises:
            TumorlensError: It is missing or other bytes.
        """
        path = self.folder / member.file
        try:
            size = path.stat().st_size
            data = path.read_bytes() if size == member.bytes else b""
        except OSError as error:
            raise TumorlensError(f"{path}: expected a member of the bundle, but {error.strerror}") from error
        if size != member.bytes:
            raise TumorlensError(
                f"{path}: expected {member.bytes} bytes, got {size}; the bundle is incomplete, get it again"
            )
        if hashlib.sha256(data).hexdigest() != member.sha256:
            raise TumorlensError(
                f"{path}: expected the SHA-256 {member.sha256[:12]}… of {MANIFEST}, got other content; "
                "the bundle is damaged or was altered, get it again"
            )
        return data

    def _familiarity(self) -> Familiarity | None:
        member = self.manifest.familiarity
        if member is None:
            return None
        data = self.read(member)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                arrays = dict(archive)
        except Exception as error:  # numpy lets zlib.error, EOFError, MemoryError and others through
            reason = " ".join(str(error).split()) or type(error).__name__
            raise TumorlensError(
                f"{self.folder / member.file}: expected arrays without objects, but {reason}"
            ) from error
        return Familiarity.from_arrays(arrays)


def open_bundle(path: Path | str | None = None) -> Bundle:
    """Read a bundle's manifest; the default bundle's if no path is given.

    Raises:
        TumorlensError: There is none, it isn't valid, or a newer tumorlens wrote it.
    """
    if path is None:
        return default_bundle()
    folder = Path(path)
    file = folder / MANIFEST
    try:
        if file.stat().st_size > _LARGEST_MANIFEST:
            raise TumorlensError(f"{file}: expected the manifest of a bundle, got more than 1 MiB")
        data = file.read_bytes()
        values = json.loads(data, parse_float=_finite, parse_constant=_finite)
        version = values["schema_version"]
    except OSError as error:
        raise TumorlensError(
            f"{folder}: expected a bundle of 'tumorlens export', found no {MANIFEST} ({error.strerror})"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TumorlensError(f"{file}: expected the manifest of a bundle, but it is damaged") from error
    if type(version) is not int or version < 1:
        raise TumorlensError(
            f"{file}: expected schema_version {SCHEMA_VERSION}, got {_shown(version)}; it is damaged"
        )
    if version > SCHEMA_VERSION:
        author = _shown(values.get("tumorlens", "of a later version"))
        raise TumorlensError(
            f"{file}: expected a bundle of schema {SCHEMA_VERSION}, got {_shown(version)}; it was written by "
            f"tumorlens {author}: pip install --upgrade tumorlens"
        )
    try:
        return Bundle(folder, Manifest.model_validate_json(data, strict=True))
    except ValidationError as error:
        first = error.errors()[0]
        key = _shown(".".join(map(str, first["loc"])) or "content")
        raise TumorlensError(
            f"{file}: expected the manifest of a bundle, but {key}: {first['msg']}"
        ) from error


def _finite(text: str) -> float:
    """A number of the manifest; NaN and infinity aren't JSON, even where Python reads them."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {text}")
    return value


def _shown(value: object) -> str:
    """What a file says, fit for one line on a terminal."""
    return str(value)[:100].encode("unicode_escape").decode()


@cache
def default_bundle() -> Bundle:
    """The bundle that comes with the package.

    Raises:
        TumorlensError: This installation has none.
    """
    if not (_DEFAULT / MANIFEST).is_file():
        raise TumorlensError(
            "expected the weights that come with tumorlens, found none in this installation; "
            "install it again, or name a bundle with --bundle"
        )
    return open_bundle(_DEFAULT)
