// @ts-check
/**
 * What the server says, as types. There is no code here.
 *
 * @typedef {"queued" | "running" | "done" | "failed" | "cancelled" | "interrupted"} Status
 *
 * @typedef {object} Problem  RFC 9457; `detail` is a whole sentence for a person.
 * @property {string} title
 * @property {number} status
 * @property {string} detail
 *
 * @typedef {object} Series
 * @property {number} number  From 1, in the upload.
 * @property {string} text
 * @property {boolean} chosen
 *
 * @typedef {object} Analysis
 * @property {string} id
 * @property {Status} status
 * @property {"slice" | "volume" | null} kind
 * @property {string} name
 * @property {string} created  ISO 8601.
 * @property {string} expires  ISO 8601.
 * @property {{done: number, total: number}} progress  In slices.
 * @property {Series[]} series
 * @property {Problem | null} problem
 * @property {Result | null} result
 * @property {string[]} files  Formats that can be had.
 *
 * @typedef {object} Confidence
 * @property {string} word
 * @property {number | null} accuracy  Share of slices with this word that were named rightly.
 * @property {number} slices  On how many slices that was measured.
 *
 * @typedef {object} Warning
 * @property {string} kind
 * @property {string} message
 *
 * @typedef {object} Diameters
 * @property {number} longest_mm
 * @property {number} perpendicular_mm
 * @property {number} slice  From 0.
 *
 * @typedef {object} Result  A finding's document, schema 2 (finding.schema.json).
 * @property {string} tumorlens  Version.
 * @property {string} source
 * @property {string | null} series
 * @property {string | null} reason
 * @property {[number, number, number]} shape  Slices, rows, columns.
 * @property {[number, number] | null} spacing_mm  Rows, columns.
 * @property {number | null} slice_spacing_mm
 * @property {string | null} plane
 * @property {string | null} model
 * @property {string | null} tumor_type
 * @property {Record<string, number> | null} probabilities
 * @property {Confidence | null} confidence
 * @property {number | null} tumor_pixels
 * @property {number} key_slice  From 0.
 * @property {number | null} area_mm2
 * @property {number | null} volume_mm3
 * @property {Diameters | null} diameters
 * @property {{slice: number, tumor_pixels: number, area_mm2: number | null}[] | null} slices
 * @property {Warning[]} warnings
 * @property {string} notice
 *
 * @typedef {object} View
 * @property {[number, number, number]} shape  Slices, rows, columns.
 * @property {[number | null, number | null, number | null]} spacing  mm.
 * @property {{low: number, high: number}} window
 * @property {{name: string, low: number, high: number}[]} presets
 * @property {number} slope
 * @property {number} intercept
 * @property {"axial" | "coronal" | "sagittal" | null} plane
 * @property {{left: string, right: string, top: string, bottom: string} | null} directions
 * @property {number[][] | null} affine
 * @property {number} key_slice
 * @property {number[]} outlined  Outlined pixels of each slice.
 * @property {boolean} outlines
 * @property {boolean} heatmap
 *
 * @typedef {object} Band
 * @property {string} word
 * @property {number} from_probability
 * @property {number | null} accuracy
 * @property {number} slices
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {boolean} default
 * @property {string[]} classes
 * @property {string} trained_on
 * @property {string} seen
 * @property {string} not_seen
 * @property {Band[]} confidence
 * @property {Record<string, unknown>} results
 * @property {string} card  Markdown.
 *
 * @typedef {object} Sample
 * @property {string} file
 * @property {string} thumbnail
 * @property {string} title
 * @property {string} type
 * @property {string} credit
 *
 * @typedef {"waiting" | "sending" | Status} State  A scan's on this page: before the server has it, and after.
 *
 * @typedef {object} Scan  A scan on this page.
 * @property {string} key  Its name within this page.
 * @property {string} name
 * @property {File[] | null} files  As dropped; null after a reload.
 * @property {State} state
 * @property {number} sent  Share of the bytes that the server has, 0 to 1.
 * @property {string} note  What it waits for, if it waits.
 * @property {Analysis | null} analysis
 * @property {Problem | null} problem
 */
export {};
