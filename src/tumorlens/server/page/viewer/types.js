// @ts-check
/**
 * What the modules of the viewing surface hand to each other.
 *
 * Image coordinates: x counts columns and y rows of a plane's picture; pixel (row r, column c) covers x from c to
 * c + 1 and y from r to r + 1. Voxel coordinates [slice, row, column] count in the same way, so that the middle of
 * voxel [1, 2, 3] is [1.5, 2.5, 3.5]. Screen coordinates are a canvas's own pixels (device pixels), y down.
 *
 * @typedef {[number, number, number]} Triple slice, row, column
 * @typedef {0 | 1 | 2} Axis of slices, rows, columns
 * @typedef {{low: number, high: number}} Window source values that become black and white
 * @typedef {{left: string, right: string, top: string, bottom: string}} Letters what lies at a picture's sides
 *
 * @typedef {object} View what the server says of a scan before any slice is loaded
 * @property {Triple} shape slices, rows, columns
 * @property {(number | null)[]} spacing mm from slice to slice, row to row, column to column; null where unknown
 * @property {Window} window
 * @property {{name: string, low: number, high: number}[]} presets
 * @property {number} slope source value for a step of the stored pixels
 * @property {number} intercept source value of a stored 0
 * @property {string | null} plane axial, coronal or sagittal
 * @property {Letters | null} directions
 * @property {number[][] | null} affine (slice, row, column, 1) to mm, x to the left, y to posterior, z to superior
 * @property {number | null} key_slice
 * @property {number[]} outlined pixels outlined on each slice
 * @property {boolean} outlines whether there can be outlines
 * @property {boolean} heatmap whether there is a heatmap
 *
 * @typedef {"slice" | "planes" | "surface"} Layout
 * @typedef {"window" | "pan" | "ruler" | "crosshair"} Tool
 *
 * @typedef {object} State what a person has chosen
 * @property {number} slice from 0
 * @property {[number, number]} cursor row and column where the planes cross, from 0
 * @property {Window} window
 * @property {boolean} outline
 * @property {number} fill opacity, 0 to 1
 * @property {number} heat opacity, 0 to 1
 * @property {boolean} uncertain
 * @property {Layout} layout
 * @property {Tool} tool
 * @property {number} zoom 1 fits the whole slice
 * @property {Triple} center what lies in the middle of the screen, as shares (0 to 1) of slices, rows, columns
 *
 * @typedef {object} Section one plane's picture
 * @property {number} columns
 * @property {number} rows
 * @property {Uint16Array} pixels rows × columns
 * @property {Uint8Array | null} mask 0 or 1; null where all is 0
 * @property {Uint8Array | null} heat 0 to 255; null where all is 0
 * @property {Uint8Array | null} probability 0 to 255; null where none lies in the uncertain band
 * @property {Uint8Array | null} present 0 where a slice isn't loaded; null where all are
 *
 * @typedef {{x: number, y: number}} Point
 * @typedef {{width: number, height: number}} Size
 * @typedef {{slice: number, mask: Uint8Array}} Outlined one slice's mask, rows × columns
 */
export {};
