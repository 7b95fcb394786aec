// @ts-check
/** Turns stored pixels into gray values, with the heatmap over them. */

import { canvasOf, penOf } from "./canvas.js";

/** @typedef {import("./types.js").Section} Section */
/** @typedef {{columns: number, rows: number}} Sides */

const LEVELS = 65536;
const LARGEST = 4096; // pixels a side; larger sections are sampled more coarsely, screens hardly show more
const BLACK = 0xff000000;
const MISSING = 0xff181410; // 0xAABBGGRR, a slice that isn't loaded yet

/**
 * What each stored value becomes on the screen: the function LINEAR_EXACT of DICOM (PS3.3 C.11.2.1.3.2), with the
 * middle between the window's ends as its center and their distance as its width, rounded to whole grays.
 *
 * @param {import("./types.js").Window} window
 * @param {number} slope
 * @param {number} intercept
 * @returns {Uint32Array} 65536 colors, 0xAABBGGRR
 */
export function windowTable({ low, high }, slope, intercept) {
  const table = new Uint32Array(LEVELS);
  const scale = 255 / Math.max(high - low, Number.MIN_VALUE);
  for (let value = 0; value < LEVELS; value += 1) {
    const gray = Math.min(Math.max(Math.round((value * slope + intercept - low) * scale), 0), 255);
    table[value] = BLACK | (gray * 0x010101);
  }
  return table;
}

/**
 * How each strength of the heatmap colors a pixel: the color and how much of it, more where it is stronger.
 *
 * @param {Uint8Array} scale 256 × (red, green, blue)
 * @param {number} opacity of the strongest, 0 to 1
 * @returns {{colors: Uint8Array, shares: Uint16Array}} shares of 256
 */
export function heatTable(scale, opacity) {
  const shares = new Uint16Array(256);
  for (let heat = 0; heat < 256; heat += 1) shares[heat] = Math.round(256 * opacity * Math.sqrt(heat / 255));
  return { colors: scale, shares };
}

/** A section's picture, kept until something of it changes. */
export class Raster {
  #image = new ImageData(1, 1);
  #words = new Uint32Array(this.#image.data.buffer);
  /** @type {unknown[]} */
  #made = [];

  constructor() {
    this.canvas = canvasOf(1, 1);
    this.context = penOf(this.canvas);
    /** Pixels of the section a pixel of the canvas, along each side. */
    this.step = 1;
  }

  /**
   * @param {Section} section
   * @param {Uint32Array} table of `windowTable`
   * @param {ReturnType<typeof heatTable> | null} heats
   */
  update(section, table, heats) {
    const { heat, present } = section;
    const made = [section, table, heat === null ? null : heats];
    if (made.every((part, index) => part === this.#made[index])) return;
    this.#made = made;
    this.#resize(section);
    this.#gray(section, table);
    if (heat !== null && heats !== null) this.#warm(section, heat, heats);
    if (present !== null) this.#darken(section, present);
    this.context.putImageData(this.#image, 0, 0);
  }

  /** @param {Sides} sides */
  #resize({ columns, rows }) {
    this.step = Math.max(Math.ceil(columns / LARGEST), Math.ceil(rows / LARGEST));
    const width = Math.ceil(columns / this.step);
    const height = Math.ceil(rows / this.step);
    if (this.#image.width === width && this.#image.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.#image = new ImageData(width, height);
    this.#words = new Uint32Array(this.#image.data.buffer);
  }

  /** @param {Section} section @param {Uint32Array} table */
  #gray({ pixels, columns, rows }, table) {
    const words = this.#words;
    if (this.step === 1) {
      for (let i = 0; i < words.length; i += 1) words[i] = table[pixels[i]];
      return;
    }
    this.#each(columns, rows, (to, from) => {
      words[to] = table[pixels[from]];
    });
  }

  /** @param {Sides} sides @param {Uint8Array} heat @param {ReturnType<typeof heatTable>} heats */
  #warm({ columns, rows }, heat, { colors, shares }) {
    const bytes = this.#image.data;
    this.#each(columns, rows, (to, from) => {
      const value = heat[from];
      if (value === 0) return;
      const share = shares[value];
      const at = 4 * to;
      const gray = bytes[at] * (256 - share);
      bytes[at] = (gray + colors[3 * value] * share) >> 8;
      bytes[at + 1] = (gray + colors[3 * value + 1] * share) >> 8;
      bytes[at + 2] = (gray + colors[3 * value + 2] * share) >> 8;
    });
  }

  /** @param {Sides} sides @param {Uint8Array} present */
  #darken({ columns, rows }, present) {
    this.#each(columns, rows, (to, from) => {
      if (present[from] === 0) this.#words[to] = MISSING;
    });
  }

  /** @param {number} columns @param {number} rows @param {(to: number, from: number) => void} act */
  #each(columns, rows, act) {
    const { step } = this;
    let to = 0;
    for (let row = 0; row < rows; row += step) {
      for (let column = 0; column < columns; column += step) {
        act(to, row * columns + column);
        to += 1;
      }
    }
  }
}
