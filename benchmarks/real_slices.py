"""Real slices for benchmarks: some of the dataset's files, evenly among them, also as PNG and DICOM."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from tumorlens import read_scan
from tumorlens.preprocess import to_unit_range


def some_slices(data: Path, count: int) -> list[Path]:
    """At most so many of a folder's ``.mat`` slices."""
    candidates = sorted(path for path in data.glob("*.mat") if path.stem.isdigit())
    chosen = np.linspace(0, len(candidates) - 1, min(count, len(candidates))).round().astype(int)
    return [candidates[index] for index in chosen]


def as_pngs(files: Sequence[Path], folder: Path) -> list[Path]:
    """The same slices as PNG files of 8 bits in a folder."""
    copies = []
    for file in files:
        copies.append(folder / f"{file.stem}.png")
        pixels = to_unit_range(read_scan(file).pixels[0])
        Image.fromarray((pixels * 255).astype(np.uint8)).save(copies[-1])
    return copies


def as_dicoms(files: Sequence[Path], folder: Path) -> list[Path]:
    """The same slices as uncompressed DICOM files in a folder, each a series of its own."""
    copies = []
    for index, file in enumerate(files, start=1):
        copies.append(folder / f"{file.stem}.dcm")
        pixels = read_scan(file).pixels[0].astype(np.int16)
        write_slice(copies[-1], pixels, index, (f"1.2.3.{index}", f"1.2.4.{index}"))
    return copies


def write_slice(path: Path, pixels: NDArray[np.int16], index: int, uids: tuple[str, str]) -> None:
    """One slice of a series as a DICOM file."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uids
    dataset.Modality, dataset.SeriesDescription, dataset.InstanceNumber = "MR", "t1 +C", index + 1
    dataset.PixelSpacing, dataset.SliceThickness = [0.49, 0.49], 1
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, index]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path, enforce_file_format=True)
