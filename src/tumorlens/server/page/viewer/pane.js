// @ts-check
/** One canvas with one plane of the scan. */

import { canvasOf, penOf } from "./canvas.js";
import { place } from "./geometry.js";
import { sectionThrough } from "./layers.js";
import * as marks from "./marks.js";
import { drawOverlays } from "./overlays.js";
import { Raster } from "./raster.js";
import { triple } from "./triple.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Section} Section */
/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./types.js").Triple} Triple */
/** @typedef {import("./geometry.js").Placement} Placement */
/** @typedef {import("./marks.js").Paper} Paper */

/**
 * @typedef {object} Scene what is drawn
 * @property {State} state
 * @property {import("./store.js").SliceStore} store
 * @property {import("./colors.js").Colors} colors
 * @property {import("./rulers.js").Rulers} rulers
 * @property {Uint32Array} table see `windowTable`
 * @property {ReturnType<typeof import("./raster.js").heatTable> | null} heats
 * @property {string} windowText
 */

const SMALL = 260; // CSS pixels; a pane that is narrower has no room for all texts

export class Pane {
  #raster = new Raster();
  /** @type {{index: number, version: number, section: Section} | null} */
  #kept = null;

  /**
   * @param {import("./planes.js").Plane} plane
   * @param {import("./types.js").View} view
   */
  constructor(plane, view) {
    this.plane = plane;
    this.view = view;
    this.ratio = 1;
    this.canvas = canvasOf(1, 1);
    this.canvas.className = "viewer-pane";
    this.context = penOf(this.canvas, { alpha: false });
  }

  /**
   * @param {number} width device pixels
   * @param {number} height
   * @param {number} ratio device pixels a CSS pixel
   */
  resize(width, height, ratio) {
    this.canvas.width = Math.max(width, 1);
    this.canvas.height = Math.max(height, 1);
    this.ratio = ratio;
  }

  /** Where the plane lies along its normal: the number of a slice, row or column. @param {State} state */
  index(state) {
    return [state.slice, ...state.cursor][this.plane.normal];
  }

  /** @param {State} state @param {number} index @returns {Partial<State>} the change that moves the plane there */
  moved(state, index) {
    if (this.plane.normal === 0) return { slice: index };
    return { cursor: this.plane.normal === 1 ? [index, state.cursor[1]] : [state.cursor[0], index] };
  }

  /** @param {State} state */
  placement(state) {
    return place(this.plane, this.canvas, state.zoom, this.middle(state));
  }

  /** The picture's point in the middle of the canvas. @param {State} state @returns {Point} */
  middle(state) {
    return this.plane.point(state.center.map((share, axis) => share * this.view.shape[axis]));
  }

  /**
   * The state's center for a point in the middle of the canvas.
   *
   * @param {State} state
   * @param {Point} middle
   * @returns {Triple}
   */
  center(state, middle) {
    const { shape } = this.view;
    const place = this.plane.voxel(middle, triple((axis) => state.center[axis] * shape[axis]));
    return triple((axis) => place[axis] / shape[axis]);
  }

  /** Where a pointer is on the canvas. @param {{clientX: number, clientY: number}} event @returns {Point} */
  pointOf({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((clientX - box.left) * this.canvas.width) / box.width,
      y: ((clientY - box.top) * this.canvas.height) / box.height,
    };
  }

  /**
   * The whole-numbered voxel under a point of the screen; null beside the picture.
   *
   * @param {State} state
   * @param {Point} point
   * @returns {Triple | null}
   */
  voxelAt(state, point) {
    const { x, y } = this.placement(state).toPicture(point);
    if (x < 0 || y < 0 || x >= this.plane.columns || y >= this.plane.rows) return null;
    const middle = { x: Math.floor(x) + 0.5, y: Math.floor(y) + 0.5 };
    const voxel = this.plane.voxel(middle, [state.slice, ...state.cursor]);
    return triple((axis) => Math.floor(voxel[axis]));
  }

  /** @param {Scene} scene */
  draw(scene) {
    const { context, canvas } = this;
    const { state, colors } = scene;
    context.fillStyle = colors.surface;
    context.fillRect(0, 0, canvas.width, canvas.height);
    const placement = this.placement(state);
    const paper = { context, width: canvas.width, height: canvas.height, ratio: this.ratio };
    const section = this.#section(scene);
    if (section !== undefined) {
      this.#raster.update(section, scene.table, scene.heats);
      this.#picture(placement);
      drawOverlays(paper, section, placement, state, colors);
    }
    this.#marks(paper, scene, placement, section);
  }

  /** @param {Scene} scene */
  #section({ state, store }) {
    const index = this.index(state);
    if (this.plane.stored) return store.get(index);
    const { version } = store;
    if (this.#kept?.index === index && this.#kept.version === version) return this.#kept.section;
    const section = sectionThrough(this.plane, index, (n) => store.get(n), store.slices);
    this.#kept = { index, version, section };
    return section;
  }

  /** @param {Placement} placement */
  #picture({ left, top, scaleX, scaleY }) {
    const { canvas, step } = this.#raster;
    this.context.imageSmoothingEnabled = true;
    // Enlarging is bilinear; making smaller needs more than four neighbours, or fine structure flickers.
    this.context.imageSmoothingQuality = Math.min(scaleX, scaleY) * step < 1 ? "medium" : "low";
    // Of several pixels the first one is drawn: its middle, not the block's, belongs where it lies.
    const [x, y] = [left - ((step - 1) / 2) * scaleX, top - ((step - 1) / 2) * scaleY];
    this.context.drawImage(canvas, x, y, canvas.width * step * scaleX, canvas.height * step * scaleY);
  }

  /** @param {Paper} paper @param {Scene} scene @param {Placement} placement @param {Section | undefined} section */
  #marks(paper, { state, colors, rulers, windowText }, placement, section) {
    const size = marks.ready(paper, colors.text);
    const small = paper.width / paper.ratio < SMALL;
    if (section === undefined) this.#waiting(paper);
    if (state.layout === "planes" || state.tool === "crosshair") {
      const cursor = this.plane.point([state.slice + 0.5, state.cursor[0] + 0.5, state.cursor[1] + 0.5]);
      marks.drawCrosshair(paper, placement.toScreen(cursor), colors.crosshair);
    }
    marks.drawLetters(paper, this.plane.letters, size);
    if (this.plane.measured) marks.drawScale(paper, placement.scaleX / this.plane.width, size);
    marks.drawCorner(paper, this.#caption(state), "left", size);
    if (this.plane.stored && !small) marks.drawCorner(paper, [windowText], "right", size);
    if (state.heat > 0 && this.plane.stored && !small && section?.heat) {
      marks.drawNamedLegend(paper, colors, size);
    }
    const shown = rulers.on(this.plane, this.index(state));
    marks.drawRulers(paper, rulers, shown, placement, colors.ruler);
  }

  /** @param {State} state */
  #caption(state) {
    const { plane } = this;
    const name = plane.name === "slice" ? [] : [plane.name[0].toUpperCase() + plane.name.slice(1)];
    if (plane.count === 1) return name;
    const what = ["Slice", "Row", "Column"][plane.normal];
    const unknown = plane.measured || plane.stored ? [] : ["Proportions unknown"];
    return [...name, `${what} ${this.index(state) + 1} of ${plane.count}`, ...unknown];
  }

  /** @param {Paper} paper */
  #waiting({ context, width, height }) {
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText("Loading…", width / 2, height / 2);
  }
}
