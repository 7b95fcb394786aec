// @ts-check
/** The layout with the tumor's surface: loads the outlined slices, meshes them, lets a person turn the result. */

import { penOf } from "./canvas.js";
import { bytesOf } from "./colors.js";
import { element } from "./control.js";
import { drawScale, ready } from "./marks.js";
import { meshDrawing } from "./mesh_drawing.js";
import { meshOf } from "./surface_mesh.js";
import { triple } from "./triple.js";

/** @typedef {import("./types.js").Point} Point */

/** @typedef {number[]} Matrix 3 × 3 by rows */

/** @type {Matrix} */
const FROM_ANTERIOR = [1, 0, 0, 0, 0, 1, 0, -1, 0]; // right is the patient's left, up is superior
const TILTED = { around: 0.5, over: 0.3 }; // radians; a view from the front alone looks flat
const SHARE = 0.33; // of the canvas that the mesh's radius takes
/** @type {{axis: 0 | 1 | 2, letter: string, sign: number}[]} */
const ENDS = [
  { axis: 0, letter: "R", sign: -1 },
  { axis: 0, letter: "L", sign: 1 },
  { axis: 1, letter: "A", sign: -1 },
  { axis: 1, letter: "P", sign: 1 },
  { axis: 2, letter: "I", sign: -1 },
  { axis: 2, letter: "S", sign: 1 },
];

export class Surface {
  /** @type {import("./surface_mesh.js").Mesh | null} */
  #mesh = null;
  #turn = { ...TILTED };
  #zoom = 1;

  /** @param {import("./types.js").View} view */
  constructor(view) {
    this.view = view;
    this.ratio = 1;
    this.solid = element("canvas", "viewer-solid");
    /** On top: what is written, and what takes the pointer. */
    this.canvas = element("canvas", "viewer-pane");
    this.context = penOf(this.canvas);
    this.sentence = element("p", "viewer-sentence");
    this.element = element("div", "viewer-surface", [this.solid, this.canvas, this.sentence]);
    this.drawing = meshDrawing(this.solid);
  }

  /** @param {number} width device pixels @param {number} height @param {number} ratio device pixels a CSS pixel */
  resize(width, height, ratio) {
    for (const canvas of [this.solid, this.canvas]) {
      canvas.width = Math.max(width, 1);
      canvas.height = Math.max(height, 1);
    }
    this.ratio = ratio;
  }

  /** Where a pointer is on the canvas. @param {{clientX: number, clientY: number}} event @returns {Point} */
  pointOf({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    return { x: (clientX - box.left) * this.ratio, y: (clientY - box.top) * this.ratio };
  }

  /** @param {number} around radians @param {number} over radians */
  turn(around, over) {
    const limit = Math.PI / 2;
    this.#turn.around += around;
    this.#turn.over = Math.min(Math.max(this.#turn.over + over, -limit), limit);
  }

  /** @param {number} factor */
  zoom(factor) {
    this.#zoom = Math.min(Math.max(this.#zoom * factor, 0.3), 8);
  }

  /** Back to the first view. */
  reset() {
    this.#turn = { ...TILTED };
    this.#zoom = 1;
  }

  /**
   * @param {import("./store.js").SliceStore} store
   * @param {import("./colors.js").Colors} colors
   */
  draw(store, colors) {
    const { context, canvas } = this;
    context.clearRect(0, 0, canvas.width, canvas.height);
    const problem = this.#problem(store);
    this.sentence.textContent = problem;
    this.sentence.hidden = problem === "";
    if (problem !== "" || this.drawing === null) return;
    const { radius } = this.#loaded(store, this.drawing);
    const turn = matrixOf(this.#turn);
    const pixels = (this.#zoom * SHARE * Math.min(canvas.width, canvas.height)) / radius;
    this.drawing.draw(turn, pixels, radius, bytesOf(colors.outline));
    this.#marks(turn, pixels, colors);
  }

  /** Why there is nothing to see yet, or "". @param {import("./store.js").SliceStore} store */
  #problem(store) {
    if (this.drawing === null) {
      return "This browser shows no 3-D here: WebGL 2 is off or missing. The slices and planes work without it.";
    }
    const missing = store.missing((n) => this.view.outlined[n] > 0);
    if (missing > 0) return `Loading the outlined slices: ${missing} to go.`;
    return "";
  }

  /** @param {import("./store.js").SliceStore} store @param {import("./mesh_drawing.js").MeshDrawing} drawing */
  #loaded(store, drawing) {
    if (this.#mesh !== null) return this.#mesh;
    const slices = this.view.outlined.flatMap((count, slice) => {
      const mask = count > 0 ? store.get(slice)?.mask : null;
      return mask ? [{ slice, mask }] : [];
    });
    this.#mesh = meshOf(slices, this.view);
    drawing.load(this.#mesh);
    return this.#mesh;
  }

  /** @param {Matrix} turn @param {number} pixels a millimetre @param {import("./colors.js").Colors} colors */
  #marks(turn, pixels, colors) {
    const { context, canvas, ratio } = this;
    const paper = { context, width: canvas.width, height: canvas.height, ratio };
    const size = ready(paper, colors.text);
    if (this.view.spacing.every(Boolean)) drawScale(paper, pixels, size);
    if (this.view.affine !== null) this.#axes(turn, size, colors.text);
  }

  /**
   * The patient's axes in a corner; the ends that point away are left out.
   *
   * @param {Matrix} turn
   * @param {number} size
   * @param {string} color
   */
  #axes(turn, size, color) {
    const { context, canvas, ratio } = this;
    const long = 2.4 * size;
    const [x, y] = [canvas.width - long - 1.6 * size, canvas.height - long - 1.6 * size];
    context.strokeStyle = color;
    context.fillStyle = color;
    context.lineWidth = ratio;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const { axis, letter, sign } of ENDS) {
      const [right, up, near] = triple((row) => sign * turn[3 * row + axis]);
      if (near < -0.2) continue;
      const [dx, dy] = [right * long, -up * long];
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + dx, y + dy);
      context.stroke();
      context.fillText(letter, x + dx * 1.3, y + dy * 1.3);
    }
  }
}

/** First around the patient's long axis, then over. @param {{around: number, over: number}} turn @returns {Matrix} */
function matrixOf({ around, over }) {
  const [c, s] = [Math.cos(around), Math.sin(around)];
  const [e, d] = [Math.cos(over), Math.sin(over)];
  const spin = [c, 0, s, 0, 1, 0, -s, 0, c];
  const tip = [1, 0, 0, 0, e, -d, 0, d, e];
  return product(tip, product(spin, FROM_ANTERIOR));
}

/** @param {Matrix} a @param {Matrix} b @returns {Matrix} */
function product(a, b) {
  return a.map((_, i) => [0, 1, 2].reduce((sum, k) => sum + a[3 * Math.floor(i / 3) + k] * b[3 * k + (i % 3)], 0));
}
