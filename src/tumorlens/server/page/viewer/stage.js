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

export class Stage {
  /** @type {Pane[]} */
  panes = [];
  /** @type {Surface | null} */
  surface = null;
  #frame = 0;
  #window = { key: "", table: null };
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
    this.observer = new ResizeObserver((entries) => this.#resized(entries));
  }

  /** @param {View | null} view */
  open(view) {
    this.observer.disconnect();
    this.view = view;
    this.colors = colorsOf(this.element);
    this.#window.key = "";
    this.#heat.opacity = -1;
    this.panes = view === null ? [] : planesOf(view).map((plane) => new Pane(plane, view));
    this.surface = null;
    this.frame.replaceChildren(...this.panes.map(({ canvas }) => canvas));
    for (const { canvas } of this.panes) this.observer.observe(canvas);
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
    if (layout === "surface") this.#openSurface();
    if (this.surface !== null) this.surface.element.hidden = layout !== "surface";
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
    if (state.layout === "surface") {
      this.surface.draw(store, this.colors);
      return;
    }
    const scene = { state, store, rulers, colors: this.colors, ...this.#tables(state) };
    for (const pane of this.panes) {
      if (!pane.canvas.hidden) pane.draw(scene);
    }
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.observer.disconnect();
  }

  #tables({ window: { low, high }, heat }) {
    const { slope, intercept } = this.view;
    const key = `${low} ${high}`;
    if (this.#window.key !== key) this.#window = { key, table: windowTable({ low, high }, slope, intercept) };
    if (this.#heat.opacity !== heat) {
      this.#heat = { opacity: heat, table: heat > 0 ? heatTable(this.colors.heat, heat) : null };
    }
    const digits = digitsFor(this.view);
    const windowText = `W ${(high - low).toFixed(digits)}  L ${((low + high) / 2).toFixed(digits)}`;
    return { table: this.#window.table, heats: this.#heat.table, windowText };
  }

  #openSurface() {
    if (this.surface !== null) return;
    this.surface = new Surface(this.view);
    this.frame.append(this.surface.element);
    this.observer.observe(this.surface.canvas);
  }

  #resized(entries) {
    for (const entry of entries) {
      const target = this.targetAt(entry.target);
      if (target === null || entry.contentRect.width === 0) continue;
      target.resize(...deviceSize(entry));
    }
    this.draw(); // before the browser paints, so that nothing flickers
  }
}

/** Width and height in device pixels, exact where the browser says them, and device pixels a CSS pixel. */
function deviceSize({ devicePixelContentBoxSize: exact, contentRect }) {
  const ratio = window.devicePixelRatio;
  if (exact === undefined) {
    return [Math.round(contentRect.width * ratio), Math.round(contentRect.height * ratio), ratio];
  }
  return [exact[0].inlineSize, exact[0].blockSize, ratio];
}
