// @ts-check
/** Three numbers, one for each axis of a scan or of the patient. */

/** @typedef {import("./types.js").Triple} Triple */

/**
 * @param {(axis: 0 | 1 | 2) => number} of
 * @returns {Triple}
 */
export function triple(of) {
  return [of(0), of(1), of(2)];
}
