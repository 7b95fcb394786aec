"""What a command line is expected to do with a mistake."""

from collections.abc import Callable
from pathlib import Path

Tumorlens = Callable[..., tuple[int, str, str]]
"""Runs a command line in an empty folder; gives exit code, stdout and stderr."""


def assert_refused(result: tuple[int, str, str], *named: str) -> None:
    code, out, err = result
    assert code == 2
    assert out == ""
    [line] = err.splitlines()
    assert line.startswith("tumorlens: ")
    assert all(part in line for part in named), line
    assert "Traceback" not in err
    assert not list(Path.cwd().iterdir()), "nothing is written"
