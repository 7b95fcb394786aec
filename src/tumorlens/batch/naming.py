"""What rows and files call an input, and what they say went wrong: nothing that tells whose scan it is."""

import contextlib
import os
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np

from tumorlens.batch.unit import Unit
from tumorlens.finding.privacy import encodable, public_place, public_text
from tumorlens.scan import Scan
from tumorlens.scan.origin import DicomOrigin, of_dataset
from tumorlens.scan.reader import is_dicom, read_head

_LOOKED_AT = 3  # files of an input, for a header that says whose it is


def told_source(unit: Unit, scan: Scan | None) -> str:
    """An input's path, with neutral names for those that tell whose scan it is.

    Args:
        unit: Which.
        scan: What it holds, or `header_of`; None where nothing is known of it, or where names are to stay.
    """
    told = unit.place
    if scan is not None:
        place = Path(told)
        public = public_place(place, scan, unit.place)
        told = told if public == place else public.as_posix()  # a URL's slashes stay
    return encodable(told or ".")


def result_place(unit: Unit, scan: Scan | None, number: int) -> PurePosixPath:
    """Where below the results' files those of a scan lie, with what their names begin with.

    Args:
        unit: The input.
        scan: As in `told_source`.
        number: Of the scan in its input.
    """
    place = unit.result_place / f"study-{number}" if unit.is_folder else unit.result_place
    return place if scan is None else PurePosixPath(public_place(Path(place), scan, unit.place).as_posix())


def told_error(error: Exception, unit: Unit, path: Path | None, scan: Scan | None) -> str:
    """What went wrong, in one line, without this machine's own paths.

    Args:
        error: Such as a reader's.
        unit: The input.
        path: Where its files are on this machine, if they are.
        scan: As in `told_source`.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if path is not None and not unit.is_folder:
        text = text.replace(str(path), unit.place)
    elif path is not None:
        text = text.replace(f"{path}{os.sep}", f"{unit.place}/" if unit.place else "")
        text = text.replace(str(path), unit.place or ".")
    return encodable(text if scan is None else public_text(text, scan) or text)


def header_of(unit: Unit, path: Path | None) -> Scan | None:
    """A scan that stands for one that can't be read, where a DICOM header says whose it is.

    Args:
        unit: The input; neutral names follow from its key.
        path: Where its files are on this machine, if they are.
    """
    if path is None or not unit.is_folder:
        return None
    for file in islice((each for each in sorted(path.rglob("*")) if each.is_file()), _LOOKED_AT):
        with contextlib.suppress(Exception):  # what is wrong with the file was told before
            if is_dicom(read_head(file)):
                return _headed(unit, file)
    return None


def _headed(unit: Unit, file: Path) -> Scan:
    import pydicom

    header = pydicom.dcmread(file, force=True, stop_before_pixels=True)
    origin = DicomOrigin((header,), None, np.zeros((3, 2)), of_dataset(header))
    return Scan(np.frombuffer(unit.key, np.uint8).reshape(1, 4, 4), file, origin=origin)
