// @ts-check
/** Loads a scan's slices, the nearest first, and keeps as many as there is room for. */

import { sectionFrom } from "./layers.js";

/** @typedef {import("./types.js").Section} Section */
/** @typedef {import("./types.js").View} View */
/** @typedef {(n: number) => boolean} Wanted */

const AT_ONCE = 4;
const ROOM = 100e6; // voxels that are kept where only the slices near the one shown are needed

/** Above this many voxels there is only the view of slices: the other layouts need them all at once. */
export const MOST_VOXELS = 300e6;

/** Reports `loaded` (detail: the slice's number), `problem` (detail: slice and error) and `closed`. */
export class SliceStore extends EventTarget {
  /** @type {Map<number, Section>} */
  #loaded = new Map();
  /** @type {Map<number, AbortController>} */
  #running = new Map();
  /** @type {Set<number>} */
  #failed = new Set();
  /** @type {{near: number, all: boolean, wanted: Wanted}} */
  #aim = { near: 0, all: false, wanted: (n) => n === 0 };
  #closed = false;

  /**
   * @param {View} view
   * @param {(n: number, signal: AbortSignal) => Promise<ArrayBuffer>} layers
   */
  constructor(view, layers) {
    super();
    const [slices, rows, columns] = view.shape;
    this.slices = slices;
    this.rows = rows;
    this.columns = columns;
    this.layers = layers;
    /** Counts what was loaded or dropped, so that what depends on it knows when it is stale. */
    this.version = 0;
  }

  /** @param {number} n @returns {Section | undefined} */
  get(n) {
    return this.#loaded.get(n);
  }

  /** How many of the slices that are wanted are still missing. @param {Wanted} wanted */
  missing(wanted = this.#aim.wanted) {
    let count = 0;
    for (let n = 0; n < this.slices; n += 1) count += wanted(n) && !this.#loaded.has(n) ? 1 : 0;
    return count;
  }

  /**
   * Say which slice is looked at and which others are wanted.
   *
   * @param {number} near
   * @param {Wanted | null} wanted null: as many around it as there is room for
   */
  aim(near, wanted = null) {
    const reach = this.#reach();
    this.#aim = { near, all: wanted !== null, wanted: wanted ?? ((n) => Math.abs(n - near) <= reach) };
    this.#failed.delete(near);
    this.#makeWay();
    this.#pump();
  }

  /** Stop loading. */
  close() {
    this.#closed = true;
    for (const controller of this.#running.values()) controller.abort();
    this.#running.clear();
    this.#loaded.clear();
    this.dispatchEvent(new Event("closed"));
  }

  #reach() {
    return Math.max(Math.floor(ROOM / (this.rows * this.columns) / 2), 4);
  }

  /** Give up the farthest slice under way where the one looked at has to wait for it. */
  #makeWay() {
    const { near } = this.#aim;
    if (this.#loaded.has(near) || this.#running.has(near) || this.#running.size < AT_ONCE) return;
    const far = [...this.#running.keys()].reduce((a, b) => (Math.abs(b - near) > Math.abs(a - near) ? b : a));
    this.#running.get(far)?.abort();
    this.#running.delete(far);
  }

  #pump() {
    while (!this.#closed && this.#running.size < AT_ONCE) {
      const n = this.#next();
      if (n === null) return;
      this.#load(n);
    }
  }

  #next() {
    const { near } = this.#aim;
    for (let far = 0; far < this.slices; far += 1) {
      for (const n of [near + far, near - far]) {
        if (n >= 0 && n < this.slices && this.#isNeeded(n)) return n;
      }
    }
    return null;
  }

  /** @param {number} n */
  #isNeeded(n) {
    if (this.#loaded.has(n) || this.#running.has(n) || this.#failed.has(n)) return false;
    return n === this.#aim.near || this.#aim.wanted(n);
  }

  /** @param {number} n */
  async #load(n) {
    const controller = new AbortController();
    this.#running.set(n, controller);
    try {
      const section = sectionFrom(await this.layers(n, controller.signal), this.columns, this.rows);
      if (controller.signal.aborted) return;
      this.#keep(n, section);
    } catch (error) {
      if (controller.signal.aborted) return;
      this.#failed.add(n);
      this.dispatchEvent(new CustomEvent("problem", { detail: { slice: n, error } }));
    } finally {
      if (this.#running.get(n) === controller) this.#running.delete(n);
      this.#pump();
    }
  }

  /** @param {number} n @param {Section} section */
  #keep(n, section) {
    this.#loaded.set(n, section);
    this.version += 1;
    if (!this.#aim.all && this.#loaded.size > 2 * this.#reach() + 1) {
      const { near } = this.#aim;
      this.#loaded.delete([...this.#loaded.keys()].reduce((a, b) => (Math.abs(b - near) > Math.abs(a - near) ? b : a)));
    }
    this.dispatchEvent(new CustomEvent("loaded", { detail: n }));
  }
}
