"""What OpenAPI shows of requests and responses: examples, and the problems that a route can end with."""

from typing import Any

from tumorlens.server.analysis import EXAMPLE_ID
from tumorlens.server.problems import MEDIA_TYPE, Problem

_BASE = {
    "id": EXAMPLE_ID,
    "kind": "volume",
    "name": "t1-contrast.zip",
    "created": "2026-01-01T12:00:00Z",
    "expires": "2026-01-02T12:00:00Z",
    "series": [
        {"number": 1, "text": "MR, t1 axial +C, 24 slices, contrast agent: Gadobutrol", "chosen": True}
    ],
    "problem": None,
    "result": None,
    "files": [],
}
RUNNING = {**_BASE, "status": "running", "progress": {"done": 12, "total": 24}}
CANCELLED = {**_BASE, "status": "cancelled", "progress": {"done": 12, "total": 24}}
DONE = {
    **_BASE,
    "status": "done",
    "kind": "slice",
    "name": "104.mat",
    "series": [],
    "progress": {"done": 1, "total": 1},
    "files": ["overlay", "mask", "heatmap", "json", "html", "nifti"],
    "result": {
        "schema_version": 2,
        "tumorlens": "0.1.0",
        "source": "104.mat",
        "series": None,
        "reason": None,
        "shape": [1, 512, 512],
        "spacing_mm": [0.49, 0.49],
        "slice_spacing_mm": None,
        "plane": None,
        "affine": None,
        "model": "lite-joint-7",
        "tumor_type": "meningioma",
        "probabilities": {"meningioma": 0.9958, "glioma": 0.0027, "pituitary tumor": 0.0015},
        "confidence": {"word": "high", "accuracy": 0.97865, "slices": 2201},
        "tumor_pixels": 3520,
        "key_slice": 0,
        "area_mm2": 845.2,
        "volume_mm3": None,
        "diameters": {
            "longest_mm": 36.5,
            "perpendicular_mm": 30.1,
            "slice": 0,
            "longest_ends": [[201.0, 150.5], [268.5, 181.0]],
            "perpendicular_ends": [[240.0, 131.5], [222.5, 190.5]],
        },
        "slices": None,
        "warnings": [],
        "identity": None,
        "notice": "Research use only; not a diagnosis.",
    },
}
UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "The scan: one file, or all files of a DICOM series or folder.",
                        },
                        "series": {
                            "type": "string",
                            "maxLength": 200,
                            "description": "Of several DICOM series: its place from 1, UID or description.",
                        },
                        "largest_component": {
                            "type": "boolean",
                            "default": False,
                            "description": "Keep only the largest connected part of the outline.",
                        },
                    },
                },
            }
        },
    }
}
LOCATION = {"Location": {"description": "Of the analysis.", "schema": {"type": "string"}}}
_WORDS = {
    401: "A token is needed, or another one.",
    403: "Asked from another site, or under another host's name.",
    404: "No such analysis, or it was erased.",
    408: "The body came too slowly.",
    409: "Not finished yet, or nothing of this kind can be had.",
    413: "Larger than this server takes.",
    415: "Not multipart/form-data.",
    422: "Not a scan, or not understood.",
    429: "Too many wait; Retry-After says for how long.",
    500: "Something that wasn't foreseen.",
    503: "The server is stopping or not ready.",
    507: "The server's disk is full.",
}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


EXAMPLES: dict[str, Any] = {"running": RUNNING, "cancelled": CANCELLED, "done": DONE}


def shown(example: str, words: str, **more: Any) -> dict[str, Any]:
    """A response with one of `EXAMPLES`; `filled_in` puts it in place of its name."""
    return {"description": words, "content": {"application/json": {"example": example}}, **more}


def filled_in(schema: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI document with its examples whole: FastAPI would leave out what is null in them."""
    for methods in schema["paths"].values():
        for route in methods.values():
            for response in route["responses"].values():
                content = response.get("content", {}).get("application/json", {})
                if isinstance(content.get("example"), str):
                    content["example"] = EXAMPLES[content["example"]]
    return schema


def binary(words: str, *media_types: str) -> dict[str, Any]:
    """A response that is a file."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {"description": words, "content": dict.fromkeys(media_types, schema)}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route can end with, besides those of all routes."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {
        status: {
            "description": _WORDS[status],
            "content": {MEDIA_TYPE: {"schema": schema}},
            **({"headers": _RETRY} if status in (429, 503) else {}),
        }
        for status in sorted({401, 403, 422, 500, *statuses})
    }
