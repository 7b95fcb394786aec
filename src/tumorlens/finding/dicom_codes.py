"""Coded terms that say in DICOM what was found.

Terms of SNOMED CT (``SCT``), of DICOM itself (``DCM``) and of UCUM come from pydicom's dictionaries of the
standard's own context groups. These have none for the three tumor types, which are SNOMED CT's disorders of
these names.

No standard has a term for the probability of a tumor type. Those three are of a private scheme,
``99TUMORLENS``, which every report declares.
"""

import highdicom as hd
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from tumorlens.tumor_type import TumorType

ABNORMAL_STRUCTURE: Code = codes.SCT.MorphologicallyAbnormalStructure
"""The category of what is outlined."""
NEOPLASM: Code = codes.SCT.Neoplasm
"""What is outlined where no model named its type."""
BRAIN: Code = codes.SCT.Brain
"""The region it was looked for in."""

AREA: Code = codes.SCT.Area
VOLUME: Code = codes.SCT.Volume
LONG_AXIS: Code = codes.SCT.LongAxis
SHORT_AXIS: Code = codes.SCT.ShortAxis

MILLIMETER: Code = codes.UCUM.Millimeter
SQUARE_MILLIMETER: Code = codes.UCUM.SquareMillimeter
CUBIC_MILLIMETER: Code = codes.UCUM.CubicMillimeter
NO_UNITS: Code = codes.UCUM.NoUnits

TUMOR_TYPE = Code(codes.SCT.AssociatedMorphology.value, "SCT", "Associated morphology")
"""The question that the tumor's type answers."""
COMMENT: Code = codes.DCM.Comment
DEVICE = hd.sr.CodedConcept.from_code(codes.DCM.Device)
MRI: Code = codes.cid100.MRIUnspecifiedBodyRegion
ARTIFICIAL_INTELLIGENCE: Code = codes.DCM.ArtificialIntelligence

_TYPES = {
    TumorType.MENINGIOMA: Code("302820008", "SCT", "Intracranial meningioma"),
    TumorType.GLIOMA: Code("393564001", "SCT", "Glioma"),
    TumorType.PITUITARY: Code("127024001", "SCT", "Neoplasm of pituitary gland"),
}
_PRIVATE = "99TUMORLENS"


def private_scheme() -> hd.coding_schemes.CodingSchemeIdentificationItem:
    """The declaration of the private scheme in a file that uses it."""
    return hd.coding_schemes.CodingSchemeIdentificationItem(
        designator=_PRIVATE, name="Probabilities of tumor types", responsible_organization="tumorlens"
    )


def type_code(tumor_type: TumorType | None) -> Code:
    """The term for a tumor type; for a neoplasm of any type where none was named."""
    return NEOPLASM if tumor_type is None else _TYPES[tumor_type]


def probability_code(tumor_type: TumorType) -> hd.sr.CodedConcept:
    """The private term for the probability, in [0, 1], that a tumor is of this type."""
    value = f"P-{tumor_type.name}"
    return hd.sr.CodedConcept(value, _PRIVATE, f"Probability of {tumor_type.title}")
