"""MR series for the tests: valid by the standard, small, and where the test wants them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

# Directions (LPS) of a row and of a column, as scanners lay slices out.
AXIAL = ((1, 0, 0), (0, 1, 0))
CORONAL = ((1, 0, 0), (0, 0, -1))
SAGITTAL = ((0, 1, 0), (0, 0, -1))


def affine_of(
    directions: tuple[tuple[float, ...], tuple[float, ...]] = AXIAL,
    spacing: tuple[float, float, float] = (5.0, 0.9, 0.9),
    origin: tuple[float, float, float] = (-60.0, -70.0, -20.0),
) -> NDArray[np.float64]:
    """(4, 4) from (slice, row, column, 1) to LPS in mm; spacing between slices, rows and columns."""
    row, column = np.asarray(directions[0], float), np.asarray(directions[1], float)
    affine = np.eye(4)
    affine[:3, 0] = np.cross(row, column) * spacing[0]
    affine[:3, 1] = column * spacing[1]
    affine[:3, 2] = row * spacing[2]
    affine[:3, 3] = origin
    return affine


def header(**tags: object) -> FileDataset:
    """An MR image's header without geometry and pixels; ``tags`` add to it or replace."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    values: dict[str, object] = {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(entropy_srcs=["study"]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=["series"]),
        "FrameOfReferenceUID": generate_uid(entropy_srcs=["frame of reference"]),
        "PatientName": "Muster^Erika",
        "PatientID": "PID-4711",
        "PatientBirthDate": "19640812",
        "PatientSex": "F",
        "StudyDate": "20240301",
        "StudyTime": "101500",
        "StudyID": "1",
        "AccessionNumber": "ACC-99",
        "ReferringPhysicianName": "",
        "Modality": "MR",
        "Manufacturer": "tests",
        "SeriesNumber": 3,
        "SeriesDescription": "t1_se_tra +C",
        "PositionReferenceIndicator": "",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "ScanningSequence": "SE",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "2D",
        "RepetitionTime": 500,
        "EchoTime": 12,
        "EchoTrainLength": 1,
        "ContrastBolusAgent": "Gadovist",
        "BodyPartExamined": "HEAD",
        "PatientPosition": "HFS",
        "SliceThickness": 5,
    }
    for keyword, value in {**values, **tags}.items():
        setattr(dataset, keyword, value)
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def write_series(
    folder: Path, volume: NDArray[np.integer], affine: NDArray[np.float64] | None = None, **tags: object
) -> list[Path]:
    """Write a volume (slices, rows, columns) as one file a slice, named in no order of theirs.

    Args:
        folder: Gets the files; made if missing.
        volume: 8 or 16 bits.
        affine: See `affine_of`.
        tags: Added to every header.

    Returns:
        The files, in the slices' order.
    """
    affine = affine_of() if affine is None else affine
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, pixels in enumerate(volume):
        dataset = header(SOPInstanceUID=generate_uid(), **tags)
        dataset.InstanceNumber = len(volume) - index
        place(dataset, affine, index)
        set_pixels(dataset, pixels)
        path = folder / f"IM{(index * 7919) % 10007:05d}"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def place(dataset: Dataset, affine: NDArray[np.float64], index: int) -> None:
    """Say in a header where slice ``index`` lies."""
    rows, columns = np.linalg.norm(affine[:3, 1:3], axis=0)
    dataset.PixelSpacing = [f"{rows:.10g}", f"{columns:.10g}"]
    directions = [*affine[:3, 2] / columns, *affine[:3, 1] / rows]
    dataset.ImageOrientationPatient = [format_number_as_ds(float(value)) for value in directions]
    position = affine @ [index, 0, 0, 1]
    dataset.ImagePositionPatient = [format_number_as_ds(float(value)) for value in position[:3]]


def set_pixels(dataset: Dataset, pixels: NDArray[np.integer]) -> None:
    """Put a gray slice (rows, columns) of 8 or 16 bits into a data set, uncompressed."""
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = dataset.get("PhotometricInterpretation", "MONOCHROME2")
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()


def write_enhanced(
    path: Path,
    volume: NDArray[np.integer],
    affine: NDArray[np.float64] | None = None,
    *,
    order: Sequence[int] | None = None,
    **tags: object,
) -> Path:
    """Write a volume (slices, rows, columns) of 16 bits as one enhanced MR file.

    Args:
        path: The file.
        volume: The slices.
        affine: See `affine_of`.
        order: Which slice each frame holds; by default in the slices' order.
        tags: Added to the header.
    """
    affine = affine_of() if affine is None else affine
    order = range(len(volume)) if order is None else order
    dataset = header(**{**_ENHANCED, "SOPInstanceUID": generate_uid(), **tags})
    for keyword in _CLASSIC_ONLY:
        delattr(dataset, keyword)
    dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.SharedFunctionalGroupsSequence = [_shared(affine)]
    dataset.PerFrameFunctionalGroupsSequence = [
        _of_frame(affine, number, index) for number, index in enumerate(order, 1)
    ]
    organization = Dataset()
    organization.DimensionOrganizationUID = generate_uid()
    dataset.DimensionOrganizationSequence = [organization]
    dimension = Dataset()
    dimension.DimensionOrganizationUID = organization.DimensionOrganizationUID
    dimension.DimensionIndexPointer = 0x00209057  # InStackPositionNumber
    dimension.FunctionalGroupPointer = 0x00209111  # FrameContentSequence
    dataset.DimensionIndexSequence = [dimension]
    set_pixels(dataset, volume[list(order)][0])
    dataset.NumberOfFrames = len(order)
    dataset.BitsStored, dataset.HighBit = 12, 11
    dataset.PixelData = np.ascontiguousarray(volume[list(order)]).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


_CLASSIC_ONLY = (
    "EchoTime",
    "EchoTrainLength",
    "RepetitionTime",
    "ScanOptions",
    "ScanningSequence",
    "SequenceVariant",
    "SliceThickness",
    "ContrastBolusAgent",
)
_ENHANCED: dict[str, object] = {
    "SOPClassUID": EnhancedMRImageStorage,
    "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
    "InstanceNumber": 1,
    "ManufacturerModelName": "tests",
    "DeviceSerialNumber": "1",
    "SoftwareVersions": "1",
    "ContentDate": "20240301",
    "ContentTime": "101600",
    "AcquisitionDateTime": "20240301101550",
    "AcquisitionDuration": 60.0,
    "AcquisitionNumber": 1,
    "AcquisitionContextSequence": [],
    "MagneticFieldStrength": 1.5,
    "ResonantNucleus": "1H",
    "KSpaceFiltering": "NONE",
    "ApplicableSafetyStandardAgency": "IEC",
    "PulseSequenceName": "se",
    "EchoPulseSequence": "SPIN",
    "MultipleSpinEcho": "NO",
    "MultiPlanarExcitation": "NO",
    "PhaseContrast": "NO",
    "TimeOfFlightContrast": "NO",
    "SteadyStatePulseSequence": "NONE",
    "EchoPlanarPulseSequence": "NO",
    "SaturationRecovery": "NO",
    "SpectrallySelectedSuppression": "NONE",
    "OversamplingPhase": "NONE",
    "GeometryOfKSpaceTraversal": "RECTILINEAR",
    "RectilinearPhaseEncodeReordering": "LINEAR",
    "SegmentedKSpaceTraversal": "SINGLE",
    "NumberOfKSpaceTrajectories": 1,
    "ContentQualification": "RESEARCH",
    "BurnedInAnnotation": "NO",
    "LossyImageCompression": "00",
    "PresentationLUTShape": "IDENTITY",
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "ComplexImageComponent": "MAGNITUDE",
    "AcquisitionContrast": "T1",
}


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _shared(affine: NDArray[np.float64]) -> Dataset:
    """The functional groups that all frames of an enhanced MR file share."""
    placed = Dataset()
    place(placed, affine, 0)
    thickness = float(np.linalg.norm(affine[:3, 0]))
    return _item(
        PixelMeasuresSequence=[_item(PixelSpacing=placed.PixelSpacing, SliceThickness=thickness)],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=placed.ImageOrientationPatient)],
        FrameAnatomySequence=[
            _item(FrameLaterality="U", AnatomicRegionSequence=[_code("12738006", "SCT", "Brain")])
        ],
        PixelValueTransformationSequence=[_item(RescaleIntercept=0, RescaleSlope=1, RescaleType="US")],
        MRImageFrameTypeSequence=[
            _item(
                FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
                VolumeBasedCalculationTechnique="NONE",
                ComplexImageComponent="MAGNITUDE",
                AcquisitionContrast="T1",
            )
        ],
        **_acquisition(),
    )


def _acquisition() -> dict[str, list[Dataset]]:
    """How an enhanced MR file says it was acquired."""
    return {
        "MRTimingAndRelatedParametersSequence": [
            _item(
                RepetitionTime=500.0,
                FlipAngle=90.0,
                EchoTrainLength=1,
                RFEchoTrainLength=1,
                GradientEchoTrainLength=0,
                GradientOutputType="DB_DT",
                GradientOutput=1.0,
                SpecificAbsorptionRateSequence=[
                    _item(SpecificAbsorptionRateDefinition="IEC_HEAD", SpecificAbsorptionRateValue=1.0)
                ],
                OperatingModeSequence=[_item(OperatingModeType="GRADIENT", OperatingMode="IEC_NORMAL")],
            )
        ],
        "MRFOVGeometrySequence": [
            _item(
                InPlanePhaseEncodingDirection="ROW",
                MRAcquisitionFrequencyEncodingSteps=256,
                MRAcquisitionPhaseEncodingStepsInPlane=256,
                PercentSampling=100.0,
                PercentPhaseFieldOfView=100.0,
            )
        ],
        "MREchoSequence": [_item(EffectiveEchoTime=12.0)],
        "MRModifierSequence": [
            _item(
                InversionRecovery="NO",
                FlowCompensation="NONE",
                Spoiling="NONE",
                T2Preparation="NO",
                SpectrallySelectedExcitation="NONE",
                SpatialPresaturation="NONE",
                PartialFourier="NO",
                ParallelAcquisition="NO",
            )
        ],
        "MRImagingModifierSequence": [
            _item(
                MagnetizationTransfer="NONE",
                BloodSignalNulling="NO",
                Tagging="NONE",
                TransmitterFrequency=63.9,
                PixelBandwidth=130.0,
            )
        ],
        "MRReceiveCoilSequence": [
            _item(
                ReceiveCoilName="head",
                ReceiveCoilManufacturerName="",
                ReceiveCoilType="VOLUME",
                QuadratureReceiveCoil="NO",
            )
        ],
        "MRTransmitCoilSequence": [
            _item(TransmitCoilName="body", TransmitCoilManufacturerName="", TransmitCoilType="BODY")
        ],
        "MRAveragesSequence": [_item(NumberOfAverages=1.0)],
    }


def _of_frame(affine: NDArray[np.float64], number: int, index: int) -> Dataset:
    """The functional groups of a frame that holds slice ``index``."""
    placed = Dataset()
    place(placed, affine, index)
    return _item(
        FrameContentSequence=[
            _item(
                FrameAcquisitionNumber=number,
                StackID="1",
                InStackPositionNumber=index + 1,
                DimensionIndexValues=index + 1,
                FrameReferenceDateTime="20240301101550",
                FrameAcquisitionDateTime="20240301101550",
                FrameAcquisitionDuration=1.0,
            )
        ],
        PlanePositionSequence=[_item(ImagePositionPatient=placed.ImagePositionPatient)],
    )
