// @ts-check
/** The planes that a scan is looked at in, and where their pictures' pixels lie in the scan. */

import { triple } from "./triple.js";

/** @typedef {import("./types.js").View} View */
/** @typedef {import("./types.js").Triple} Triple */
/** @typedef {import("./types.js").Point} Point */

/** @typedef {import("./types.js").Axis} Axis */
/** @typedef {import("./types.js").Letters} Letters */
/** @typedef {{axis: Axis, flipped: boolean}} Side an axis of the scan, and whether it counts backwards on screen */
/** @typedef {{axis: Axis, sign: number}} Run an axis of the patient (0 L, 1 P, 2 S), -1 where it runs backwards */

/** By the patient's axis (L, P, S) that the planes follow on. */
const NAMES = /** @type {const} */ (["sagittal", "coronal", "axial"]);
/**
 * How radiology shows each plane: the patient's axes to the right and downwards.
 *
 * @type {Record<typeof NAMES[number], {right: Run, down: Run, letters: Letters}>}
 */
const SHOWN = {
  axial: {
    right: { axis: 0, sign: 1 },
    down: { axis: 1, sign: 1 },
    letters: { left: "R", right: "L", top: "A", bottom: "P" },
  },
  coronal: {
    right: { axis: 0, sign: 1 },
    down: { axis: 2, sign: -1 },
    letters: { left: "R", right: "L", top: "S", bottom: "I" },
  },
  sagittal: {
    right: { axis: 1, sign: 1 },
    down: { axis: 2, sign: -1 },
    letters: { left: "A", right: "P", top: "S", bottom: "I" },
  },
};
/** @type {[Axis, Axis, Axis][]} */
const ORDERS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/** One plane through the scan: what lies to the right, what downwards, and along what it is moved. */
export class Plane {
  /**
   * @param {View} view
   * @param {{name: string, normal: Axis, right: Side, down: Side, letters: Letters | null}} parts
   */
  constructor(view, { name, normal, right, down, letters }) {
    const sizes = voxelSizes(view);
    this.name = name;
    this.normal = normal;
    this.letters = letters;
    this.columns = view.shape[right.axis];
    this.rows = view.shape[down.axis];
    this.count = view.shape[normal];
    /** Millimetres from column to column (or 1 where unknown). */
    this.width = sizes[right.axis];
    /** Millimetres from row to row. */
    this.height = sizes[down.axis];
    /** Whether both are known. */
    this.measured = Boolean(view.spacing[right.axis] && view.spacing[down.axis]);
    this.right = right;
    this.down = down;
  }

  /** Whether this is a slice as it was stored. */
  get stored() {
    return this.normal === 0;
  }

  /**
   * Where a place of the scan lies in the picture.
   *
   * @param {number[]} voxel [slice, row, column]
   * @returns {Point}
   */
  point(voxel) {
    const { right, down } = this;
    return {
      x: right.flipped ? this.columns - voxel[right.axis] : voxel[right.axis],
      y: down.flipped ? this.rows - voxel[down.axis] : voxel[down.axis],
    };
  }

  /**
   * The place of the scan that a point of the picture shows.
   *
   * @param {Point} point
   * @param {number[]} voxel any place in the plane; its place along the plane's normal is kept
   * @returns {Triple}
   */
  voxel(point, voxel) {
    const place = triple((axis) => voxel[axis]);
    place[this.right.axis] = this.right.flipped ? this.columns - point.x : point.x;
    place[this.down.axis] = this.down.flipped ? this.rows - point.y : point.y;
    return place;
  }
}

/**
 * A scan's own plane, and for a volume the two across it.
 *
 * @param {View} view
 * @returns {Plane[]}
 */
export function planesOf(view) {
  const own = new Plane(view, {
    name: view.plane ?? "slice",
    normal: 0,
    right: { axis: 2, flipped: false },
    down: { axis: 1, flipped: false },
    letters: view.directions,
  });
  return view.shape[0] > 1 ? [own, across(view, 1), across(view, 2)] : [own];
}

/**
 * The scan's millimetres a voxel, with the neighbours' or 1 where unknown.
 *
 * @param {View} view
 * @returns {Triple}
 */
export function voxelSizes(view) {
  const [slice, row, column] = view.spacing;
  const inPlane = row || column || 1;
  return [slice || inPlane, row || inPlane, column || inPlane];
}

/**
 * Along which axis of the patient each axis of the scan runs, and whether with or against it.
 *
 * @param {number[][]} affine
 * @param {string | null} plane the scan's own, which says along which axis its slices follow on each other
 * @returns {Run[]} for slices, rows, columns
 */
export function runsOf(affine, plane = null) {
  const shares = [0, 1, 2].map((column) => {
    const length = Math.hypot(affine[0][column], affine[1][column], affine[2][column]) || 1;
    return [0, 1, 2].map((row) => affine[row][column] / length);
  });
  /** @param {number[]} order */
  const fit = (order) => order.reduce((sum, axis, index) => sum + shares[index][axis] ** 2, 0);
  const named = ORDERS.filter(([axis]) => NAMES[axis] === plane);
  const best = (named.length > 0 ? named : ORDERS).reduce((a, b) => (fit(b) > fit(a) ? b : a));
  return best.map((axis, index) => ({ axis, sign: shares[index][axis] < 0 ? -1 : 1 }));
}

/** @param {View} view @param {1 | 2} normal through one row or through one column */
function across(view, normal) {
  if (view.affine === null) {
    return new Plane(view, {
      name: normal === 1 ? "cut along a row" : "cut along a column",
      normal,
      right: { axis: normal === 1 ? 2 : 1, flipped: false },
      down: { axis: 0, flipped: false },
      letters: null,
    });
  }
  const runs = runsOf(view.affine, view.plane);
  const name = NAMES[runs[normal].axis];
  const shown = SHOWN[name];
  /** @param {Run} wanted @returns {Side} */
  const side = ({ axis, sign }) => {
    const index = /** @type {Axis} */ (runs.findIndex((run) => run.axis === axis));
    return { axis: index, flipped: runs[index].sign !== sign };
  };
  const letters = view.directions === null ? null : shown.letters;
  return new Plane(view, { name, normal, right: side(shown.right), down: side(shown.down), letters });
}
