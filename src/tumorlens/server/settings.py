"""What the server is told: where it listens, what it lets in, how long it keeps things."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from tumorlens.errors import TumorlensError
from tumorlens.loopback import is_loopback
from tumorlens.parallel import processors

TOKEN_VARIABLE = "TUMORLENS_TOKEN"  # noqa: S105 - the variable's name, no token
SHORTEST_TOKEN = 16
_TOKEN = re.compile(r"[\x21-\x7e]*")  # what fits into a header without quoting
_LONGEST = 10 * 365 * 86400  # seconds
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def default_data() -> Path:
    """Where uploads and results lie unless said otherwise: below the user's folder for caches."""
    if sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "tumorlens" / "server"


class Settings(BaseModel):
    """How a server runs.

    Attributes:
        host: The address to listen on.
        port: 0 for any that is free.
        hosts: Further names under which clients may ask, as of a proxy in front.
        token: What a client has to know; needed where others than this machine can reach the server.
        data: Folder of uploads and results, for this server alone.
        keep: Seconds that a finished analysis is kept.
        queue_length: Analyses that wait at most.
        most_uploads: Uploads received at the same time.
        most_connections: Open at the same time.
        largest_upload: In bytes.
        most_files: Of one upload.
        time_limit: Seconds for one analysis.
        patience: Seconds that a client waits for a slice before it is told to come back.
        workers: Threads that analyse; one of them at a time may work on a volume.
        cache: Bytes of findings held in memory.
        bodies: Bytes of pixels that may be on their way to clients.
        idle: Seconds that a client may take to say the next thing.
        slowest: Bytes a second that an upload has to bring, after ``idle`` seconds.
        clean_every: Seconds between two looks for what has expired.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    hosts: tuple[str, ...] = ()
    token: SecretStr | None = None
    data: Path = Field(default_factory=default_data)
    keep: Seconds = 24 * 3600
    queue_length: Count = 64
    most_uploads: Count = 64
    most_connections: Count = 512
    largest_upload: Count = 2 << 30
    most_files: Count = 10_000
    time_limit: Seconds = 900
    patience: Seconds = 3.0
    workers: Annotated[int, Field(ge=2)] = Field(default_factory=lambda: max(2, processors()))
    cache: Annotated[int, Field(ge=0)] = 256 << 20
    bodies: Count = 1 << 30
    idle: Seconds = 15.0
    slowest: Count = 4096
    clean_every: Seconds = 10.0

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine can reach the server."""
        return is_loopback(self.host)

    @model_validator(mode="after")
    def _check_token(self) -> "Settings":
        if self.token is None:
            reached = self.host if not self.is_local else next(iter(self.hosts), None)
            if reached is not None:
                how = "be reached as" if self.is_local else "listen on"
                raise TumorlensError(
                    f"expected a token to {how} {reached}, which others can reach, got none; put one "
                    f"of {SHORTEST_TOKEN} characters or more into {TOKEN_VARIABLE} or a --token-file"
                )
            return self
        told = self.token.get_secret_value()
        if len(told) < SHORTEST_TOKEN or not _TOKEN.fullmatch(told):
            raise TumorlensError(
                f"expected a token of at least {SHORTEST_TOKEN} letters, digits and signs without spaces, "
                "got another; make a new one"
            )
        return self


def find_token(file: Path | None) -> SecretStr | None:
    """The token: a file's first line, else the environment's; None where there is neither.

    Raises:
        TumorlensError: The file can't be read or is empty.
    """
    if file is None:
        told = os.environ.get(TOKEN_VARIABLE, "").strip()
        return SecretStr(told) if told else None
    try:
        lines = file.read_text("utf-8").split("\n", 1)
    except (OSError, UnicodeDecodeError) as error:
        raise TumorlensError(f"{file}: expected a token in its first line, but {error}") from error
    if not lines[0].strip():
        raise TumorlensError(f"{file}: expected a token in its first line, got an empty one; write one there")
    return SecretStr(lines[0].strip())


def seconds(text: str) -> float:
    """A duration such as ``90``, ``45m``, ``24h`` or ``7d`` in seconds.

    Raises:
        TumorlensError: It is none.
    """
    told = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhd]?)", text.strip().lower())
    if not told or not 0 < float(told[1]) * _UNITS[told[2] or "s"] <= _LONGEST:
        raise TumorlensError(f"expected a duration such as 45m, 24h or 7d, got {text[:40]!r}")
    return float(told[1]) * _UNITS[told[2] or "s"]
