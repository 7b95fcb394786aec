// @ts-check
/** What is said of the pixel under the pointer: it follows the pointer, and what is shown under it. */

import { digitsFor } from "./toolbar.js";

/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./pane.js").Pane} Pane */
/** @typedef {import("./tools.js").Desk} Desk */

export class Readout {
  /** @type {{pane: Pane, point: Point} | null} */
  #under = null;
  #said = "";

  /**
   * @param {Desk & {store: import("./store.js").SliceStore}} desk
   * @param {(text: string) => void} write
   */
  constructor(desk, write) {
    this.desk = desk;
    this.write = write;
  }

  /**
   * The pointer is there now.
   *
   * @param {Pane} pane
   * @param {Point} point on the pane's canvas
   */
  point(pane, point) {
    this.#under = { pane, point };
    this.update();
  }

  /** The pointer is on no picture now. */
  leave() {
    this.#under = null;
    this.update();
  }

  /** Say it anew: what lies under the pointer may have changed. */
  update() {
    const text = this.#text();
    if (text === this.#said) return;
    this.#said = text;
    this.write(text);
  }

  /** The voxel and the source's value. */
  #text() {
    if (this.#under === null || !this.desk.isOpen || this.#under.pane.canvas.hidden) return "";
    const { state, view, store } = this.desk;
    const voxel = this.#under.pane.voxelAt(state, this.#under.point);
    const section = voxel === null ? undefined : store.get(voxel[0]);
    if (voxel === null || section === undefined) return "";
    const [slice, row, column] = voxel;
    const value = section.pixels[row * section.columns + column] * view.slope + view.intercept;
    const where = view.shape[0] > 1 ? `Slice ${slice + 1}, row` : "Row";
    return `${where} ${row + 1}, column ${column + 1}: ${value.toFixed(digitsFor(view))}`;
  }
}
