"""The Dockerfile's own steps, run where there is no container engine.

    python benchmarks/container_steps.py [--python PATH] [--keep FOLDER]     as root, on Linux

Every COPY, RUN, ENV, USER, HEALTHCHECK, ENTRYPOINT and CMD of the Dockerfile is carried out: RUN in a fresh
folder that stands for the image's root (paths such as /opt/tumorlens are put below it), the command as the
user that the Dockerfile names, to whom all but /data and /tmp is closed for writing. Then a slice is analysed
through the port, with a token and without, as it would be from outside. Printed: the size of what the image
adds to its base, how long the start takes, and that the health check passes.
"""

import argparse
import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import requests

ROOT = Path(__file__).parents[1]
SLICE = ROOT / "tests" / "data" / "slices" / "104.mat"
_PORT = 8765


@dataclass
class Image:
    """What stands for an image: a folder, and what the Dockerfile said of running it."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: tuple[int, int] = (0, 0)
    python: str = "/usr/bin/python3"
    words: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def inside(self, text: str) -> str:
        """A text with the image's own paths put below the folder."""
        return re.sub(r"(?<![\w./])/(opt/tumorlens|source|data|tmp)\b", rf"{self.root}/\1", text)


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """The Dockerfile's instructions, (name, rest), lines that go on joined."""
    text = re.sub(r"\\\n", " ", dockerfile.read_text())
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(name.upper(), rest.strip()) for name, _, rest in pairs]


def build(image: Image) -> None:
    """Carry out the build's steps."""
    here = image.root
    (image.root / "tmp").mkdir(mode=0o1777)
    (image.root / "opt").mkdir()
    for name, rest in instructions(ROOT / "Dockerfile"):
        if name == "WORKDIR":
            here = Path(image.inside(rest))
            here.mkdir(parents=True)
        elif name == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in sources:
                copy(ROOT / source, here / target)
        elif name == "RUN":
            command = image.inside(rest).replace("python -m venv", f"{image.python} -m venv")
            print(f"RUN {rest}", flush=True)
            subprocess.run(["/bin/sh", "-ec", command], cwd=here, check=True)  # noqa: S603 - as in the file
        elif name == "ENV":
            pairs = [pair.partition("=") for pair in shlex.split(rest)]
            image.environment |= {key: image.inside(value) for key, _, value in pairs}
        elif name == "USER":
            uid, gid = rest.split(":")
            image.user = (int(uid), int(gid))
        elif name == "HEALTHCHECK":
            image.health = json.loads(image.inside(rest[rest.index("[") :]))
        elif name in ("ENTRYPOINT", "CMD"):
            image.words += json.loads(image.inside(rest))


def copy(source: Path, target: Path) -> None:
    """As COPY does: a folder's contents, or a file into a folder."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target if target.is_dir() else target.parent)


def run(image: Image, words: list[str], **environment: str) -> subprocess.Popen[bytes]:
    """Start a command as the image would: its user, its environment and no other."""
    uid, gid = image.user
    return subprocess.Popen(  # noqa: S603 - as in the Dockerfile
        words, cwd=image.root, env=image.environment | environment, user=uid, group=gid, extra_groups=[]
    )


def measure(image: Image) -> None:
    """Start the server, ask it, and print."""
    size = sum(path.lstat().st_size for path in (image.root / "opt").rglob("*") if path.is_file())
    print(f"what the image adds to its base: {size / 1e6:.0f} MB")
    token = secrets.token_hex(16)
    began = time.perf_counter()
    server = run(image, image.words, TUMORLENS_TOKEN=token)
    try:
        while requests_status(f"http://127.0.0.1:{_PORT}/readyz") != requests.codes.ok:
            assert server.poll() is None, "the server ended"
            assert time.perf_counter() - began < 60, "the server isn't ready after a minute"
            time.sleep(0.05)
        print(f"ready after {time.perf_counter() - began:.1f} s, user {image.user[0]}")
        print(f"health check: exit code {run(image, image.health).wait()}")
        for name, headers in (("without a token", {}), ("with it", {"Authorization": f"Bearer {token}"})):
            with SLICE.open("rb") as file:
                answer = requests.post(
                    f"http://127.0.0.1:{_PORT}/v1/analyses",
                    files={"files": file},
                    headers=headers,
                    timeout=30,
                )
            told = answer.json()
            found = told["result"]["tumor_type"] if answer.ok else told["detail"]
            print(f"a slice {name}: {answer.status_code}, {found}")
    finally:
        server.terminate()
        server.wait(30)
    refused = run(image, image.words).wait(30)
    print(f"without a token at all: exit code {refused}")


def requests_status(address: str) -> int:
    """The status of a GET; 0 where nobody answers."""
    try:
        return requests.get(address, timeout=5).status_code
    except requests.ConnectionError:
        return 0


def main() -> None:
    """Build, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--python", default=Image.python, help="stands for the base image's; readable for all"
    )
    parser.add_argument("--keep", type=Path, help="a new folder to leave the result in")
    arguments = parser.parse_args()
    if os.name != "posix" or os.geteuid() != 0:
        raise SystemExit("expected to be run as root on Linux, to become another user as the image does")
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.keep or Path(temporary) / "image"
        root.mkdir(parents=True)
        Path(temporary).chmod(0o755)
        image = Image(root.resolve(), python=arguments.python)
        build(image)
        measure(image)


if __name__ == "__main__":
    main()
