"""What several tests share: real slices, and a writer of files in the published layout."""

import multiprocessing.util
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import ArrayLike, NDArray

from tests.command_line import Tumorlens
from tumorlens import cli

multiprocessing.util.get_temp_dir()  # chosen now, not within a server's own folder, which goes with it

# How long an example takes says more of the machine than of the software.
# In CI the examples are always the same: what a new one finds is no fault of the change that is tried.
settings.register_profile("tumorlens", deadline=None, derandomize="TUMORLENS_ALL_PROGRAMS" in os.environ)
settings.load_profile("tumorlens")

WriteMat = Callable[..., Path]


def matlab_file(path: Path, **variables: object) -> Path:
    """Save as MATLAB v7.3 does: a 512-byte header, a struct as a group, every array transposed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if isinstance(value, dict):
                group = file.create_group(name)
                for field, content in value.items():
                    group.create_dataset(field, data=np.atleast_2d(np.asarray(content)).T)
            else:
                file.create_dataset(name, data=np.atleast_2d(np.asarray(value)).T)
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(header)
    return path


def slice_file(
    path: Path,
    image: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    label: float = 1,
    patient: str = "100360",
    without: tuple[str, ...] = (),
) -> Path:
    """Write one slice; what isn't given is a small valid default. ``without`` names fields to leave out."""
    pixels: NDArray[np.generic] = np.asarray(
        np.arange(96, dtype=np.int16).reshape(8, 12) if image is None else image
    )
    outlined = np.zeros(pixels.shape, np.uint8)
    outlined[2:4, 5:9] = 1
    fields = {
        "PID": np.array([[ord(letter) for letter in patient]], np.uint16),
        "image": pixels,
        "label": np.array([[float(label)]]),
        "tumorBorder": np.array([[5.0, 2.0, 8.0, 2.0, 8.0, 3.0, 5.0, 3.0]]).T,
        "tumorMask": outlined if mask is None else np.asarray(mask, np.uint8),
    }
    return matlab_file(path, cjdata={name: value for name, value in fields.items() if name not in without})


def folds_file(path: Path, folds: dict[int, int], slices: int = 3064) -> Path:
    """Write the author's folds: slice number to fold, 0 for all others."""
    column = np.zeros((slices, 1))
    for number, fold in folds.items():
        column[number - 1] = fold
    return matlab_file(path, cvind=column)


@pytest.fixture(scope="session")
def slices_folder() -> Path:
    """Twelve real slices of fold 4, four of each class, with the author's folds."""
    return Path(__file__).parent / "data" / "slices"


@pytest.fixture(scope="session")
def slice_paths(slices_folder: Path) -> list[Path]:
    """The real slices in the order of their numbers."""
    return sorted(slices_folder.glob("[0-9]*.mat"), key=lambda path: int(path.stem))


@pytest.fixture(scope="session")
def write_mat() -> WriteMat:
    """`slice_file`: writes one slice in the published layout."""
    return slice_file


@pytest.fixture(scope="session")
def write_folds() -> WriteMat:
    """`folds_file`: writes the author's folds in the published layout."""
    return folds_file


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C is heard; a shell that starts the tests in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def tumorlens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tumorlens:
    """Run a command line in an empty folder; gives exit code, stdout and stderr."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tumorlens", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        code = end.value.code
        assert code is None or isinstance(code, int)
        return (code or 0, *capsys.readouterr())

    return run
