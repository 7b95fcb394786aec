"""A finding's measurements as a DICOM structured report: a measurement report (TID 1500)."""

from pathlib import Path
from typing import Any

import highdicom as hd
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from tumorlens.finding import dicom_codes
from tumorlens.finding.dicom_output import DISCLAIMER, SOFTWARE, Output, new_series, save, versions
from tumorlens.finding.dicom_seg import SEGMENT
from tumorlens.finding.finding import Finding
from tumorlens.version import __version__

Group = (
    hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)


def write_sr(finding: Finding, path: Path, seg: hd.seg.Segmentation) -> hd.sr.ComprehensiveSR:
    """Write the measurements as a DICOM structured report; see `report`.

    Returns:
        What was written.

    Raises:
        OSError: The file can't be written.
    """
    made = report(finding, seg)
    save(made, path)
    return made


def report(finding: Finding, seg: hd.seg.Segmentation) -> hd.sr.ComprehensiveSR:
    """The measurements as a DICOM structured report that refers to the outline.

    One group of measurements: of a stack a volumetric one (TID 1411) with the volume in mm³, of a single
    slice a planar one (TID 1410) with the area in mm²; both with the long and the short axis in mm, the type
    and each type's probability. Comments say that it is no diagnosis, and what warnings there are.

    Args:
        finding: What was found.
        seg: Its segmentation (`tumorlens.finding.dicom_seg.segmentation`), which says whose scan it is.
    """
    content = hd.sr.MeasurementReport(
        observation_context=_observer(finding),
        procedure_reported=dicom_codes.MRI,
        imaging_measurements=[_group(finding, seg)],
    )
    for comment in (DISCLAIMER, *(warning.message for warning in finding.warnings)):
        content[0].ContentSequence.append(
            hd.sr.TextContentItem(dicom_codes.COMMENT, comment, hd.sr.RelationshipTypeValues.CONTAINS)
        )
    return hd.sr.ComprehensiveSR(
        evidence=[seg, *_evidence(seg)],
        content=content[0],
        is_complete=True,
        coding_schemes=[dicom_codes.private_scheme()],
        **new_series(Output.MEASUREMENTS, finding),
    )


def _observer(finding: Finding) -> hd.sr.ObservationContext:
    """The software; its UID is the same wherever this version runs with this model."""
    attributes = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=[SOFTWARE, *versions(finding)]),
        name=SOFTWARE,
        manufacturer_name=SOFTWARE,
        model_name=SOFTWARE,
        serial_number=__version__,
    )
    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(dicom_codes.DEVICE, attributes)
    )


def _group(finding: Finding, seg: hd.seg.Segmentation) -> Group:
    segment = seg.get_segment_description(SEGMENT)
    about: dict[str, Any] = {
        "tracking_identifier": hd.sr.TrackingIdentifier(
            uid=segment.tracking_uid, identifier=segment.tracking_id
        ),
        "finding_type": dicom_codes.NEOPLASM,
        "finding_category": dicom_codes.ABNORMAL_STRUCTURE,
        "finding_sites": [hd.sr.FindingSite(dicom_codes.BRAIN)],
        "algorithm_id": hd.sr.AlgorithmIdentification(
            SOFTWARE, __version__, parameters=versions(finding)[1:] or None, manufacturer=SOFTWARE
        ),
        "measurements": _measurements(finding),
        "qualitative_evaluations": _evaluations(finding),
    }
    images = _images(seg)
    if finding.scan.is_volume:
        referred = hd.sr.ReferencedSegment(seg.SOPClassUID, seg.SOPInstanceUID, SEGMENT, source_images=images)
        return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=referred, **about)
    frame = hd.sr.ReferencedSegmentationFrame(seg.SOPClassUID, seg.SOPInstanceUID, 1, SEGMENT, images[0])
    # The standard wants one or the other (PS3.3, C.18.4), highdicom both.
    del frame[0].ReferencedSOPSequence[0].ReferencedSegmentNumber
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_segment=frame, **about)


def _measurements(finding: Finding) -> list[hd.sr.Measurement]:
    size = finding.diameters
    values: list[tuple[Code | hd.sr.CodedConcept, float | None, Code]] = []
    if finding.scan.is_volume:
        values.append((dicom_codes.VOLUME, finding.volume_mm3, dicom_codes.CUBIC_MILLIMETER))
    else:
        values.append((dicom_codes.AREA, finding.area_mm2, dicom_codes.SQUARE_MILLIMETER))
    if size is not None:
        values.append((dicom_codes.LONG_AXIS, size.longest_mm, dicom_codes.MILLIMETER))
        values.append((dicom_codes.SHORT_AXIS, size.perpendicular_mm, dicom_codes.MILLIMETER))
    for tumor_type, probability in (finding.probabilities or {}).items():
        values.append((dicom_codes.probability_code(tumor_type), probability, dicom_codes.NO_UNITS))
    return [hd.sr.Measurement(name, float(value), unit) for name, value, unit in values if value is not None]


def _evaluations(finding: Finding) -> list[hd.sr.QualitativeEvaluation]:
    if finding.tumor_type is None:
        return []
    answer: Code = dicom_codes.type_code(finding.tumor_type)
    return [hd.sr.QualitativeEvaluation(dicom_codes.TUMOR_TYPE, answer)]


def _outlined(seg: hd.seg.Segmentation) -> dict[str, tuple[str, list[int]]]:
    """By UID the files whose images are outlined: their kind and frames, none for single images."""
    files: dict[str, tuple[str, list[int]]] = {}
    for group in seg.PerFrameFunctionalGroupsSequence:
        item = group.DerivationImageSequence[0].SourceImageSequence[0]
        _, frames = files.setdefault(item.ReferencedSOPInstanceUID, (item.ReferencedSOPClassUID, []))
        if "ReferencedFrameNumber" in item:
            frames.append(int(item.ReferencedFrameNumber))
    return files


def _images(seg: hd.seg.Segmentation) -> list[hd.sr.SourceImageForSegmentation]:
    return [
        hd.sr.SourceImageForSegmentation(kind, uid, sorted(frames) or None)
        for uid, (kind, frames) in _outlined(seg).items()
    ]


def _evidence(seg: hd.seg.Segmentation) -> list[Dataset]:
    """The files that the report refers to beside the segmentation."""
    evidence = []
    for uid, (kind, _) in _outlined(seg).items():
        item = Dataset()
        item.StudyInstanceUID = seg.StudyInstanceUID
        item.SeriesInstanceUID = seg.ReferencedSeriesSequence[0].SeriesInstanceUID
        item.SOPClassUID, item.SOPInstanceUID = kind, uid
        evidence.append(item)
    return evidence
