"""A finding's files, made when somebody asks for them."""

import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tumorlens.finding import Finding
from tumorlens.finding.privacy import public_stem
from tumorlens.finding.write import DICOM_FORMATS, Format
from tumorlens.scan.origin import DicomOrigin

_TYPES = {
    ".png": "image/png",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".gz": "application/gzip",
    ".dcm": "application/dicom",
    ".zip": "application/zip",
}


@dataclass(frozen=True)
class MadeFile:
    """A file for a client.

    Attributes:
        path: Of the file, in a folder of its own.
        name: For the client.
        media_type: Of its content.
    """

    path: Path
    name: str
    media_type: str

    def disposition(self, *, inline: bool = False) -> str:
        """How a browser is told its name."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", self.name)
        kind = "inline" if inline else "attachment"
        return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(self.name, safe='')}"


def formats_of(finding: Finding) -> tuple[Format, ...]:
    """The formats that a finding can be written as."""
    is_dicom = isinstance(finding.scan.origin, DicomOrigin)
    has = {
        Format.MASK: finding.mask is not None,
        Format.NIFTI: finding.mask is not None,
        Format.HEATMAP: finding.heatmap is not None,
        Format.SEG: bool(finding.tumor_slices),
        Format.SR: bool(finding.tumor_slices),
    }
    return tuple(each for each in Format if has.get(each, True) and (is_dicom or each not in DICOM_FORMATS))


def make(finding: Finding, format_: Format, temporary: Path) -> MadeFile | None:
    """Write a finding in a format; several files become a zip.

    Args:
        finding: What was found.
        format_: Which.
        temporary: A folder in which the file gets a folder of its own.

    Returns:
        The file; None where the finding has nothing to show in this format.

    Raises:
        TumorlensError: The scan lacks what the format needs.
    """
    folder = Path(tempfile.mkdtemp(dir=temporary))
    try:
        made = _make(finding, format_, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if made is None:
        shutil.rmtree(folder, ignore_errors=True)
    return made


def _make(finding: Finding, format_: Format, folder: Path) -> MadeFile | None:
    stem = public_stem(finding.scan)
    files = finding.write(folder, [format_], name="finding")
    if not files:
        return None
    names = [stem + str(file.relative_to(folder))[len("finding") :] for file in files]
    if len(files) == 1:
        return MadeFile(files[0], names[0], _TYPES[files[0].suffix])
    path = folder / "finding.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file, name in zip(files, names, strict=True):
            archive.write(file, name, zipfile.ZIP_STORED if file.suffix == ".png" else None)
            file.unlink()
    return MadeFile(path, f"{stem}-{format_}.zip", _TYPES[".zip"])
