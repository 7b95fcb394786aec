// @ts-check
/** The dark surface with its panes: builds, lays out and draws them. */

import { colorsOf } from "./colors.js";
import { element } from "./control.js";
import { Pane } from "./pane.js";
import { planesOf } from "./planes.js";
import { heatTable, windowTable } from "./raster.js";
import { Surface } from "./surface.js";
import { digitsFor } from "./toolbar.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").View} View */

// Where the browser tells device pixels, a move to another screen counts as a change of size, too.
/** @type {ResizeObserverOptions} */
const BOX = {
  box: "devicePixelContentBoxSize" in ResizeObserverEntry.prototype ? "device-pixel-content-box" : "content-box",
};

export class Stage {
  /** @type {Pane[]} */
  panes = [];
  /** @type {Surface | null} */
  surface = null;
  /** @type {View | null} */
  #view = null;
  #frame = 0;
  /** @type {{key: string, table: Uint32Array}} */
  #window = { key: "", table: new Uint32Array(0) };
  /** @type {{opacity: number, table: ReturnType<typeof heatTable> | null}} */
  #heat = { opacity: -1, table: null };

  /**
   * @param {string} label
   * @param {() => void} draw
   */
  constructor(label, draw) {
    this.draw = draw;
    this.element = element("div", "viewer-stage");
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "application");
    this.element.setAttribute("aria-roledescription", "viewing surface");
    this.element.setAttribute("aria-label", label);
    this.frame = element("div", "viewer-panes");
    this.sentence = element("p", "viewer-sentence");
    this.sentence.hidden = true;
    this.element.append(this.frame, this.sentence);
    this.colors = colorsOf(this.element);
    this.observer = new ResizeObserver((entries) => this.#resized(entries));
  }

  /** @param {View | null} view */
  open(view) {
    this.observer.disconnect();
    this.#view = view;
    this.colors = colorsOf(this.element);
    this.#window.key = "";
    this.#heat.opacity = -1;
    this.panes = view === null ? [] : planesOf(view).map((plane) => new Pane(plane, view));
    this.surface = null;
    this.frame.replaceChildren(...this.panes.map(({ canvas }) => canvas));
    for (const { canvas } of this.panes) this.observer.observe(canvas, BOX);
    this.tell("");
  }

  /** A sentence in the place of a picture, "" for none. @param {string} text */
  tell(text) {
    this.sentence.textContent = text;
    this.sentence.hidden = text === "";
  }

  /** Show the panes of a layout. @param {State} state */
  arrange({ layout, tool }) {
    this.frame.className = `viewer-panes viewer-panes-${layout}`;
    this.element.dataset.tool = tool;
    this.panes.forEach(({ canvas, plane }) => {
      canvas.hidden = layout === "surface" || (layout === "slice" && !plane.stored);
    });
    if (layout === "surface" && this.surface === null && this.#view !== null) this.#openSurface(this.#view);
    if (this.surface !== null) this.surface.element.hidden = layout !== "surface";
  }

  /** Whether a ruler's plane is on the screen. @param {import("./rulers.js").Ruler} ruler @param {State} state */
  shows({ plane, index }, state) {
    return this.panes.some((pane) => pane.plane === plane && !pane.canvas.hidden && pane.index(state) === index);
  }

  /** The pane or surface that a canvas belongs to. @param {EventTarget | null} canvas */
  targetAt(canvas) {
    if (this.surface !== null && canvas === this.surface.canvas) return this.surface;
    return this.panes.find((pane) => pane.canvas === canvas) ?? null;
  }

  /** Draw at the next frame. */
  redraw() {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.draw();
    });
  }

  /**
   * Draw at once.
   *
   * @param {State} state
   * @param {import("./store.js").SliceStore} store
   * @param {import("./rulers.js").Rulers} rulers
   */
  paint(state, store, rulers) {
    const { surface, colors } = this;
    if (this.#view === null) return;
    if (state.layout === "surface") {
      surface?.draw(store, colors);
      return;
    }
    const scene = { state, store, rulers, colors, ...this.#tables(state, this.#view) };
    for (const pane of this.panes) {
      if (!pane.canvas.hidden) pane.draw(scene);
    }
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.observer.disconnect();
  }

  /** @param {State} state @param {View} view */
  #tables({ window: { low, high }, heat }, view) {
    const { slope, intercept } = view;
    const key = `${low} ${high}`;
    if (this.#window.key !== key) this.#window = { key, table: windowTable({ low, high }, slope, intercept) };
    if (this.#heat.opacity !== heat) {
      this.#heat = { opacity: heat, table: heat > 0 ? heatTable(this.colors.heat, heat) : null };
    }
    const digits = digitsFor(view);
    const windowText = `W ${(high - low).toFixed(digits)}  L ${((low + high) / 2).toFixed(digits)}`;
    return { table: this.#window.table, heats: this.#heat.table, windowText };
  }

  /** @param {View} view */
  #openSurface(view) {
    this.surface = new Surface(view);
    this.frame.append(this.surface.element);
    this.observer.observe(this.surface.canvas, BOX);
  }

  /** @param {ResizeObserverEntry[]} entries */
  #resized(entries) {
    for (const entry of entries) {
      const target = this.targetAt(entry.target);
      if (target === null || entry.contentRect.width === 0) continue;
      target.resize(...deviceSize(entry));
    }
    this.draw(); // before the browser paints, so that nothing flickers
  }
}

/**
 * Width and height in device pixels, exact where the browser says them, and device pixels a CSS pixel.
 *
 * @param {ResizeObserverEntry} entry
 * @returns {[number, number, number]}
 */
function deviceSize({ devicePixelContentBoxSize: exact, contentRect }) {
  const ratio = window.devicePixelRatio;
  const [width, height] = [Math.round(contentRect.width * ratio), Math.round(contentRect.height * ratio)];
  const said = exact?.[0];
  // A browser that only plays another screen tells its own screen's pixels.
  const isOfThisScreen = said !== undefined && near(said.inlineSize, width) && near(said.blockSize, height);
  return isOfThisScreen ? [said.inlineSize, said.blockSize, ratio] : [width, height, ratio];
}

/** @param {number} said @param {number} expected */
function near(said, expected) {
  return Math.abs(said - expected) <= 1;
}
