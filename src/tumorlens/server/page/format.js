// @ts-check
/** Numbers and times as texts. Numbers are written in English, as the rest of the page is. */

/**
 * @param {number} value
 * @param {number} [digits] Behind the point.
 * @returns {string}
 */
export function number(value, digits = 0) {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/**
 * A probability as a percentage; never 0% or 100%, which no model can be sure of.
 *
 * @param {number} share 0 to 1.
 * @returns {string}
 */
export function percent(share) {
  if (share > 0.999) return "> 99.9%";
  if (share < 0.001) return "< 0.1%";
  return `${(share * 100).toFixed(1)}%`;
}

/**
 * A share that was counted, such as an accuracy.
 *
 * @param {number} share 0 to 1.
 * @returns {string}
 */
export function counted(share) {
  return `${(share * 100).toFixed(1)}%`;
}

/**
 * @param {number} squareMillimetres
 * @returns {string}
 */
export function area(squareMillimetres) {
  const squareCentimetres = squareMillimetres / 100;
  return `${number(squareMillimetres)} mm² (${number(squareCentimetres, digits(squareCentimetres))} cm²)`;
}

/**
 * @param {number} cubicMillimetres
 * @returns {string}
 */
export function volume(cubicMillimetres) {
  const cubicCentimetres = cubicMillimetres / 1000;
  return `${number(cubicCentimetres, digits(cubicCentimetres))} cm³`;
}

/**
 * Rising numbers in short, such as `3–7, 9`.
 *
 * @param {number[]} numbers
 * @returns {string}
 */
export function runs(numbers) {
  /** @type {[number, number][]} */
  const found = [];
  for (const each of numbers) {
    const last = found.at(-1);
    if (last && each === last[1] + 1) last[1] = each;
    else found.push([each, each]);
  }
  return found.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(", ");
}

/**
 * A text with its first letter in upper case.
 *
 * @param {string} text
 * @returns {string}
 */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * A text that ends with a full stop.
 *
 * @param {string} text
 * @returns {string}
 */
export function stopped(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * The time of day of a moment on this computer's clock, with the date unless that is today.
 *
 * @param {string} moment ISO 8601.
 * @param {Date} [now]
 * @returns {string}
 */
export function clock(moment, now = new Date()) {
  const when = new Date(moment);
  const time = when.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (when.toDateString() === now.toDateString()) return time;
  return `${when.toLocaleDateString("en-GB", { day: "numeric", month: "long" })}, ${time}`;
}

/**
 * @param {number} value
 * @returns {number}
 */
function digits(value) {
  return value >= 1 ? 1 : 2;
}
