"""What the DICOM files that are written have in common: a series of their own, and who made them."""

from enum import StrEnum
from pathlib import Path
from typing import Any

import highdicom as hd
from pydicom import Dataset
from pydicom.uid import generate_uid

from tumorlens.atomic import replacing
from tumorlens.finding import dicom_codes
from tumorlens.finding.finding import Finding
from tumorlens.scan.origin import DicomOrigin
from tumorlens.version import __version__

SOFTWARE = "tumorlens"
"""Who made the files: manufacturer and model."""
DISCLAIMER = "Research use only; not a diagnosis."
_LONGEST_NAME = 50  # a header holds 64 characters (value representation LO)
_LARGEST_SERIES_NUMBER = 10_000_000


class Output(StrEnum):
    """What is written, as the series' description names it."""

    SEGMENTATION = "segmentation"
    MEASUREMENTS = "measurements"
    OVERLAY = "overlay"


_PLACE = {Output.SEGMENTATION: 1, Output.MEASUREMENTS: 2, Output.OVERLAY: 3}


def new_series(output: Output, finding: Finding) -> dict[str, Any]:
    """The attributes of a file in a new series of its own, as highdicom's constructors take them."""
    return {
        "series_instance_uid": generate_uid(),
        "series_number": _series_number(output, finding),
        "series_description": f"{SOFTWARE} {output} (research use only)",
        "sop_instance_uid": generate_uid(),
        "instance_number": 1,
        "manufacturer": SOFTWARE,
        "manufacturer_model_name": SOFTWARE,
        "software_versions": versions(finding),
        "device_serial_number": __version__,
        "specific_character_set": "ISO_IR 192",  # UTF-8: holds whatever the source's names are written in
    }


def model(finding: Finding) -> str | None:
    """The model's name as it fits into a header, or None where it isn't known."""
    name = " ".join((finding.model or "").replace("\\", "/").split())
    return name[:_LONGEST_NAME] or None


def versions(finding: Finding) -> list[str]:
    """The software's version and, where known, the model, such as ``["0.1.0", "model=lite-joint-7"]``."""
    name = model(finding)
    return [__version__, *([f"model={name}"] if name else [])]


def algorithm(finding: Finding) -> hd.AlgorithmIdentificationSequence:
    """What outlined the tumor."""
    name = model(finding)
    return hd.AlgorithmIdentificationSequence(
        name=SOFTWARE,
        family=dicom_codes.ARTIFICIAL_INTELLIGENCE,
        version=__version__,
        source=SOFTWARE,
        parameters={"model": name} if name else None,
    )


def save(dataset: Dataset, path: Path) -> None:
    """Write a file, whole or not at all.

    Raises:
        OSError: It can't be written.
    """
    with replacing(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)


def _series_number(output: Output, finding: Finding) -> int:
    """Behind the source's in a list: 3 becomes 301, 302 and 303."""
    origin = finding.scan.origin
    number = 0
    if isinstance(origin, DicomOrigin):
        text = str(origin.headers[0].get("SeriesNumber") or "")
        number = int(text) if text.isdecimal() else 0
    source = number if 0 < number < _LARGEST_SERIES_NUMBER else 9
    return 100 * source + _PLACE[output]
