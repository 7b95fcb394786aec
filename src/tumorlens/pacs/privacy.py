"""Words about a study that say nothing of whose it is."""

import hashlib
import re
from pathlib import Path

_LABEL_DIGITS = 10


def label(uid: str) -> str:
    """A short name for a study, the same each time: the first digits of a hash of its UID."""
    return hashlib.sha256(uid.encode()).hexdigest()[:_LABEL_DIGITS]


def without_identity(text: str, folder: Path) -> str:
    """A message without what the headers of the study that it is about say of the patient.

    Args:
        text: Any.
        folder: With the study's DICOM files.
    """
    for value in sorted(_identities(folder), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "...", text)
    return " ".join(text.split())


def _identities(folder: Path) -> set[str]:
    import pydicom

    from tumorlens.scan.origin import of_dataset

    file = next((path for path in sorted(folder.rglob("*.dcm"))), None)
    if file is None:
        return set()
    try:
        known = of_dataset(pydicom.dcmread(file, force=True, stop_before_pixels=True))
    except Exception:  # a file that can't be read tells nothing of anybody
        return set()
    texts = {known.patient_id, known.birth_date, known.study_date, known.accession_number, known.study_uid}
    names = {known.patient_name, *re.split(r"[\^= ]", known.patient_name)}
    return {text for text in texts | names if len(text) > 1}
