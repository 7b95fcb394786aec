"""The page's modules are what their types say: TypeScript reads them without compiling anything."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import tumorlens

PAGE = Path(tumorlens.__file__).parent / "server" / "page"
VERSION = "7.0.2"
"""Of TypeScript, where npm fetches it."""
STRICT = [
    "--noEmit",
    "--allowJs",
    "--checkJs",
    "--strict",
    "--noUnusedLocals",
    "--noImplicitReturns",
    "--noFallthroughCasesInSwitch",
    *("--target", "es2023"),
    *("--lib", "es2023,dom,dom.iterable"),
    *("--module", "esnext"),
    *("--moduleResolution", "bundler"),
]


@pytest.fixture(scope="module")
def compiler() -> list[str]:
    """The command of TypeScript's compiler; skips where there is none."""
    commands = []
    if (installed := shutil.which("tsc")) is not None:
        commands.append([installed])
    fetching = shutil.which("npx")
    if fetching is not None and os.environ.get("TUMORLENS_ALL_PROGRAMS"):  # nothing is fetched unasked
        commands.append([fetching, "--yes", "--package", f"typescript@{VERSION}", "tsc"])
    for command in commands:
        if _is_recent(command):
            return command
    pytest.skip(f"needs TypeScript 5.5 or newer: npm install --global typescript@{VERSION}")


def _is_recent(command: list[str]) -> bool:
    """Whether a compiler answers in time, and knows ``@import`` in comments."""
    try:
        told = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (subprocess.SubprocessError, OSError):
        return False
    found = re.search(r"Version (\d+)\.(\d+)", told.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= (5, 5)


def test_every_module_keeps_to_its_types(compiler: list[str]) -> None:
    modules = sorted(map(str, PAGE.rglob("*.js")))
    checked = subprocess.run([*compiler, *STRICT, *modules], capture_output=True, text=True, timeout=120)
    assert checked.stdout + checked.stderr == ""
    assert checked.returncode == 0


def test_every_module_asks_an_editor_to_check_it_and_leaves_no_type_open() -> None:
    for module in PAGE.rglob("*.js"):
        text = module.read_text(encoding="utf-8")
        assert text.startswith("// @ts-check\n"), module.name
        assert re.search(r"@ts-(ignore|nocheck|expect-error)|\{\s*any\s*\}|<any>|\bany\[\]", text) is None, (
            module
        )
