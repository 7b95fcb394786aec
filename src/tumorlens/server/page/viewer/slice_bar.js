// @ts-check
/** The slider through a volume's slices, with a strip that shows where tumor was found. */

import { penOf } from "./canvas.js";
import { button, element, slider } from "./control.js";

/** @typedef {import("./types.js").View} View */

const THUMB = 16; // CSS pixels, as in viewer.css: the slider's thumb travels its width less than the slider

export class SliceBar {
  /** @type {View | null} */
  #view = null;
  #color = "";

  /**
   * @param {(slice: number) => void} go
   */
  constructor(go) {
    this.strip = element("canvas", "viewer-strip");
    this.strip.setAttribute("aria-hidden", "true");
    this.range = slider({ label: "Slice", most: 0, step: 1, slide: go });
    this.text = element("output", "viewer-slice-text");
    this.text.setAttribute("aria-hidden", "true"); // the slider and the live region say it
    const press = () => this.#view?.key_slice != null && go(this.#view.key_slice);
    this.key = button({ label: "Go to the key slice", text: "Key slice", key: "K", press });
    this.key.classList.add("viewer-worded");
    const track = element("div", "viewer-track", [this.strip, this.range]);
    this.readout = element("div", "viewer-readout");
    this.row = element("div", "viewer-slices", [this.key, track, this.text]);
    this.element = element("div", "viewer-foot", [this.row, this.readout]);
    this.observer = new ResizeObserver(() => this.#drawStrip());
    this.observer.observe(this.strip);
  }

  /**
   * @param {View | null} view
   * @param {string} color of the marks
   */
  open(view, color) {
    this.#view = view;
    this.#color = color;
    this.row.hidden = view === null || view.shape[0] === 1;
    this.key.disabled = view?.key_slice == null;
    this.range.max = String(view === null ? 0 : view.shape[0] - 1);
    this.#drawStrip();
  }

  /** @param {number} slice */
  update(slice) {
    if (this.#view === null) return;
    this.range.value = String(slice);
    this.range.setAttribute("aria-valuetext", sentence(this.#view, slice));
    this.text.textContent = `${slice + 1} / ${this.#view.shape[0]}`;
  }

  close() {
    this.observer.disconnect();
  }

  /** A mark for each slice with tumor, higher where more of it lies. */
  #drawStrip() {
    const view = this.#view;
    const ratio = window.devicePixelRatio;
    const [width, height] = [this.strip.clientWidth * ratio, this.strip.clientHeight * ratio];
    this.strip.width = Math.max(Math.round(width), 1);
    this.strip.height = Math.max(Math.round(height), 1);
    if (view === null || view.shape[0] < 2) return;
    const context = penOf(this.strip);
    context.fillStyle = this.#color;
    const most = Math.max(...view.outlined, 1);
    const step = (width - THUMB * ratio) / (view.shape[0] - 1);
    view.outlined.forEach((count, slice) => {
      if (count === 0) return;
      const high = height * (0.3 + 0.7 * Math.sqrt(count / most));
      const wide = Math.max(step * 0.8, 2 * ratio);
      context.fillRect((THUMB / 2) * ratio + slice * step - wide / 2, height - high, wide, high);
    });
  }
}

/**
 * What is read out of a slice.
 *
 * @param {View} view
 * @param {number} slice
 * @returns {string}
 */
export function sentence(view, slice) {
  const where = view.shape[0] === 1 ? "Single slice" : `Slice ${slice + 1} of ${view.shape[0]}`;
  if (!view.outlines) return where;
  return `${where}, ${view.outlined[slice] > 0 ? "tumor outlined" : "no tumor outlined"}`;
}
