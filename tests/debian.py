"""Programs from Debian that some tests ask for a second opinion."""

import os
import shutil

import pytest

_PACKAGES = {
    "Orthanc": "orthanc",
    "chromium": "chromium",
    "dcm2niix": "dcm2niix",
    "dcm2xml": "dcmtk",
    "dcmdump": "dcmtk",
    "dcmcjpeg": "dcmtk",
    "dcmcjpls": "dcmtk",
    "dcmcrle": "dcmtk",
    "dcmj2pnm": "dcmtk",
    "dciodvfy": "dicom3tools",
    "dsrdump": "dcmtk",
}


def program(name: str) -> str:
    """The path of an installed program; skips the test, naming the package, where it is missing.

    Where TUMORLENS_ALL_PROGRAMS is set, as in CI, the test fails instead.
    """
    path = shutil.which(name)
    if path is None:
        sentence = f"needs {name}: apt-get install {_PACKAGES.get(name, name)}"
        if os.environ.get("TUMORLENS_ALL_PROGRAMS"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return path
