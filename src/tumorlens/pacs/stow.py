"""Why a server didn't store an instance, by its answer (PS3.18, table 10.5.3-1 and PS3.4, annex B)."""

from typing import Any

import requests
from pydicom import Dataset

_KINDS = (
    # From, to, and what such a failure reason means.
    (0x0110, 0x0110, "the server failed while processing it"),
    (0x0111, 0x0111, "an instance of this UID is there already"),
    (0x0117, 0x0117, "its UID isn't valid"),
    (0x0122, 0x0122, "the server doesn't store this kind of object"),
    (0x0124, 0x0124, "this user may not store it"),
    (0x0131, 0x0131, "the server found something wrong in its use of attributes"),
    (0xA700, 0xA7FF, "the server is out of space or other resources"),
    (0xA900, 0xA9FF, "its content isn't what the server expects of this kind of object"),
    (0xC000, 0xCFFF, "the server can't understand it"),
)


def refusal_in(response: requests.Response) -> str:
    """As `refusal_of`, from an answer in DICOM JSON; empty where it isn't one."""
    try:
        content = response.json()
        return refusal_of(Dataset.from_json(content[0] if isinstance(content, list) else content))
    except Exception:  # pydicom raises what its parsers do
        return ""


def refusal_of(answer: Dataset) -> str:
    """Why an instance wasn't stored; empty where it was, or nothing is said of it."""
    for item in answer.get("FailedSOPSequence") or ():
        return _meaning(item.get("FailureReason"))
    return ""


def _meaning(reason: Any) -> str:
    try:
        code = int(reason)
    except (TypeError, ValueError):
        return "the server gives no reason"
    for first, last, words in _KINDS:
        if first <= code <= last:
            return f"{words} (reason {code:04X})"
    return f"reason {code:04X}"
