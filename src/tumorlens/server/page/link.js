// @ts-check
/** @import { View } from "./types.js" */

/**
 * What two linked viewers share of what a person changes.
 *
 * @typedef {object} Look
 * @property {number} slice
 * @property {{low: number, high: number}} window
 * @property {number} zoom
 * @property {[number, number, number]} center
 */

/**
 * A look at one scan, carried over to another: the slice at the same share of the way through, the window in
 * relation to each scan's own, since MRI has no common unit.
 *
 * @param {Look} look
 * @param {View} from
 * @param {View} to
 * @returns {Look}
 */
export function carriedOver(look, from, to) {
  return {
    slice: sameShare(look.slice, from.shape[0], to.shape[0]),
    window: { low: sameLevel(look.window.low, from, to), high: sameLevel(look.window.high, from, to) },
    zoom: look.zoom,
    center: look.center,
  };
}

/**
 * @param {number} index From 0.
 * @param {number} count Of slices it is one of.
 * @param {number} others Slices of the other scan.
 * @returns {number}
 */
export function sameShare(index, count, others) {
  if (count === others) return index;
  return Math.min(others - 1, Math.floor(((index + 0.5) / count) * others));
}

/**
 * @param {number} value
 * @param {View} from
 * @param {View} to
 * @returns {number}
 */
function sameLevel(value, from, to) {
  const share = (value - from.window.low) / (from.window.high - from.window.low || 1);
  return to.window.low + share * (to.window.high - to.window.low);
}
