"""A finding's mask as a DICOM segmentation."""

import copy
from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import MRImageStorage, generate_uid

from tumorlens.errors import TumorlensError
from tumorlens.finding import dicom_codes
from tumorlens.finding.dicom_output import DISCLAIMER, SOFTWARE, Output, algorithm, new_series, save
from tumorlens.finding.dicom_source import DicomSource, SourceImage, in_source_order, missing, source_of
from tumorlens.finding.finding import Finding
from tumorlens.finding.picture import OUTLINE
from tumorlens.scan.dicom import Frame
from tumorlens.scan.origin import DicomOrigin

SEGMENT = 1
"""Number of the only segment, the tumor."""
_WANTED = "a segmentation"


def write_seg(finding: Finding, path: Path) -> hd.seg.Segmentation:
    """Write the mask as a DICOM segmentation; see `segmentation`.

    Returns:
        What was written, for a report to refer to.

    Raises:
        TumorlensError: See `segmentation`.
        OSError: The file can't be written.
    """
    made = segmentation(finding)
    save(made, path)
    return made


def segmentation(finding: Finding) -> hd.seg.Segmentation:
    """The mask as a DICOM segmentation of one binary segment, in the source images' own geometry.

    Slices without tumor have no frame. Every frame refers to the image it outlines.

    Raises:
        TumorlensError: The scan isn't DICOM, no model outlined, nothing is outlined, or the headers don't say
            which images these are or where they lie.
    """
    source = source_of(finding.scan, _WANTED)
    mask = _mask(finding)
    slices = _stand_ins(finding, source)
    made = hd.seg.Segmentation(
        source_images=slices,
        pixel_array=mask,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_segment(finding)],
        content_label="TUMOR",
        content_description=DISCLAIMER,
        content_creator_name=f"{SOFTWARE}^",
        **new_series(Output.SEGMENTATION, finding),
    )
    _refer(made, dict(zip((each.SOPInstanceUID for each in slices), source.images, strict=True)))
    return hd.seg.Segmentation.from_dataset(made, copy=False)


def _mask(finding: Finding) -> NDArray[np.bool_]:
    """The mask in the source images' own rows and columns.

    Raises:
        TumorlensError: There is none, or it is empty.
    """
    name = finding.scan.source.name
    if finding.mask is None:
        raise TumorlensError(
            f"{name}: expected a model that outlines to write {_WANTED}, got one that only names; "
            "use a bundle that outlines"
        )
    if not finding.tumor_slices:
        raise TumorlensError(
            f"{name}: expected an outlined tumor to write {_WANTED}, got an empty outline; "
            "write the overlay or the JSON, which say so"
        )
    assert isinstance(finding.scan.origin, DicomOrigin)  # noqa: S101 - asked before
    return in_source_order(finding.mask, finding.scan.origin)


def _stand_ins(finding: Finding, source: DicomSource) -> list[Dataset]:
    """Headers of single images, one a slice, with what a segmentation takes from them.

    highdicom wants either classic single images or one multi-frame file whose frames are all used and share
    their orientation. With stand-ins every stack is the same; `_refer` names the real images afterwards.

    Raises:
        TumorlensError: The headers don't say where the images lie.
    """
    first = source.frames[0]
    orientation, spacing = first.orientation, first.spacing
    if orientation is None or spacing is None:
        raise missing(finding.scan, _WANTED, "the images' orientation and pixel spacing")
    thickness = first.own_thickness or finding.scan.slice_spacing
    if thickness is None:
        raise missing(finding.scan, _WANTED, "a slice thickness")
    slices = []
    for index, frame in enumerate(source.frames):
        stand_in = Dataset()
        if index == 0:
            stand_in.update(copy.deepcopy(source.header))
        stand_in.StudyInstanceUID = source.header.StudyInstanceUID
        stand_in.SeriesInstanceUID = source.header.SeriesInstanceUID
        stand_in.SOPClassUID = MRImageStorage
        stand_in.SOPInstanceUID = generate_uid()
        stand_in.FrameOfReferenceUID = source.frame_of_reference_uid
        stand_in.Modality = "MR"
        stand_in.Rows, stand_in.Columns = frame.shape
        stand_in.PixelSpacing = [*spacing]
        stand_in.SliceThickness = thickness
        stand_in.ImageOrientationPatient = orientation.ravel().tolist()
        stand_in.ImagePositionPatient = _position(finding, frame)
        if "SpacingBetweenSlices" in stand_in:
            del stand_in.SpacingBetweenSlices  # the positions say it, and headers are often wrong about it
        slices.append(stand_in)
    return slices


def _position(finding: Finding, frame: Frame) -> list[float]:
    position = frame.position
    if position is None:
        raise missing(finding.scan, _WANTED, "every image's position")
    return [float(value) for value in position]


def _segment(finding: Finding) -> hd.seg.SegmentDescription:
    return hd.seg.SegmentDescription(
        segment_number=SEGMENT,
        segment_label="Tumor",
        segmented_property_category=dicom_codes.ABNORMAL_STRUCTURE,
        segmented_property_type=dicom_codes.type_code(finding.tumor_type),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm(finding),
        tracking_uid=generate_uid(),
        tracking_id=f"{SOFTWARE} tumor",
        anatomic_regions=[dicom_codes.BRAIN],
        display_color=hd.color.CIELabColor.from_rgb(*OUTLINE),
    )


def _refer(made: hd.seg.Segmentation, images: dict[str, SourceImage]) -> None:
    """Replace references to stand-ins by references to the images that they stand for."""
    for group in made.PerFrameFunctionalGroupsSequence:
        for derivation in group.DerivationImageSequence:
            for item in derivation.SourceImageSequence:
                images[item.ReferencedSOPInstanceUID].refer(item)
    made.SourceImageSequence = _files(list(images.values()))
    made.ReferencedSeriesSequence[0].ReferencedInstanceSequence = _files(list(images.values()))


def _files(images: Sequence[SourceImage]) -> list[Dataset]:
    """References to the files that images are in, each once."""
    items = []
    for image in {image.sop_instance_uid: image for image in images}.values():
        item = Dataset()
        item.ReferencedSOPClassUID = image.sop_class_uid
        item.ReferencedSOPInstanceUID = image.sop_instance_uid
        items.append(item)
    return items
