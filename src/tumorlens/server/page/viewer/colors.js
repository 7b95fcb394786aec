// @ts-check
/** The surface's colors, out of the page's CSS custom properties. */

import { canvasOf, penOf } from "./canvas.js";
import { triple } from "./triple.js";

const FALLBACKS = {
  "--outline": "rgb(230 159 0)",
  "--uncertain": "rgb(86 180 233)",
  "--heat-low": "rgb(60 0 80)",
  "--heat-middle": "rgb(230 90 30)",
  "--heat-high": "rgb(255 255 160)",
  "--viewer-ruler": "rgb(240 228 66)",
  "--viewer-crosshair": "rgb(120 200 255)",
  "--viewer-text": "rgb(236 239 244)",
  "--viewer-surface": "rgb(0 0 0)",
};

const HEAT = /** @type {const} */ (["--heat-low", "--heat-middle", "--heat-high"]);

/** @typedef {[number, number, number]} Three of a color: red, green, blue or Oklab's lightness, a, b */

/**
 * @typedef {object} Colors
 * @property {string} outline
 * @property {string} uncertain
 * @property {string} ruler
 * @property {string} crosshair
 * @property {string} text
 * @property {string} surface
 * @property {Uint8Array} heat 256 × (red, green, blue), from what spoke least to what spoke most
 */

/**
 * @param {Element} element
 * @returns {Colors}
 */
export function colorsOf(element) {
  const style = getComputedStyle(element);
  /** @param {keyof typeof FALLBACKS} name */
  const value = (name) => {
    const own = style.getPropertyValue(name).trim();
    return own !== "" && CSS.supports("color", own) ? own : FALLBACKS[name];
  };
  return {
    outline: value("--outline"),
    uncertain: value("--uncertain"),
    ruler: value("--viewer-ruler"),
    crosshair: value("--viewer-crosshair"),
    text: value("--viewer-text"),
    surface: value("--viewer-surface"),
    heat: scaleOf(HEAT.map((name) => bytesOf(value(name)))),
  };
}

/**
 * Red, green and blue (0 to 255) of any CSS color.
 *
 * @param {string} color
 * @returns {Three}
 */
export function bytesOf(color) {
  const context = penOf(canvasOf(1, 1), { willReadFrequently: true });
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue];
}

/**
 * Even steps to the eye between the colors: mixed in Oklab (Ottosson 2020).
 *
 * @param {Three[]} stops
 */
function scaleOf(stops) {
  const scale = new Uint8Array(3 * 256);
  const points = stops.map(toOklab);
  for (let index = 0; index < 256; index += 1) {
    const at = (index / 255) * (points.length - 1);
    const from = Math.min(Math.floor(at), points.length - 2);
    const [before, after] = [points[from], points[from + 1]];
    scale.set(fromOklab(triple((i) => before[i] + (after[i] - before[i]) * (at - from))), 3 * index);
  }
  return scale;
}

/** @param {Three} bytes @returns {Three} */
function toOklab(bytes) {
  const [r, g, b] = bytes.map((byte) => {
    const share = byte / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** @param {Three} color @returns {number[]} 0 to 255 */
function fromOklab([lightness, a, b]) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((share) => {
    const curved = share <= 0.0031308 ? 12.92 * share : 1.055 * Math.max(share, 0) ** (1 / 2.4) - 0.055;
    return Math.min(Math.max(Math.round(255 * curved), 0), 255);
  });
}
