// @ts-check
/**
 * How far places are from a mask's edge, on an even grid of millimetres: the field whose zero is the tumor's
 * surface. Between slices the distances are interpolated, so that thick slices don't come out as steps
 * (shape-based interpolation, Raya & Udupa 1990).
 */

import { triple } from "./triple.js";

/** @typedef {import("./types.js").Triple} Triple */
/** @typedef {import("./types.js").Outlined} Outlined */
/** @typedef {{counts: Triple, origin: Triple, step: Triple, cell: number, most: number}} Grid most: mm that count */

const FINEST = 72; // cells along the longest side: smooth enough to the eye, and meshed in a tenth of a second
const BORDER = 4; // cells around the mask
const ROUND = 0.5; // of a slice: so far from its edge the first and the last slice of a tumor begin to bend
const HALVINGS = 16; // of the range in which the field's lift is looked for

/**
 * @param {Outlined[]} slices
 * @param {Triple} shape of the scan
 * @param {Triple} sizes mm from slice to slice, row to row, column to column
 * @returns {{values: Float32Array, counts: Triple, origin: Triple, step: Triple, cell: number}} values (z, y, x) in
 *   mm, positive inside; a grid place (z, y, x) is at voxel origin + step × place; cell: the grid's step in mm
 */
export function distanceField(slices, shape, sizes) {
  const box = boxOf(slices, shape);
  const longest = Math.max(...[0, 1, 2].map((axis) => (box.to[axis] - box.from[axis]) * sizes[axis]));
  const cell = Math.max(longest / FINEST, Math.min(sizes[1], sizes[2]));
  const step = triple((axis) => cell / sizes[axis]);
  const counts = triple((axis) => Math.ceil((box.to[axis] - box.from[axis]) / step[axis]) + 2 * BORDER);
  const origin = triple((axis) => (box.from[axis] + box.to[axis] - (counts[axis] - 1) * step[axis]) / 2);
  const grid = { counts, origin, step, cell, most: Math.max(sizes[0], cell) };
  const flat = new Map(slices.map(({ slice, mask }) => [slice, flatField(mask, shape, grid)]));
  return { values: smoothed(stacked(flat, grid), counts), counts, origin, step, cell };
}

/**
 * Lift or lower a field so that it encloses a volume: smoothing and the rounded ends of what was outlined on thick
 * slices take some of the mask's away, and a tumor of a few voxels altogether.
 *
 * @param {Float32Array} values
 * @param {number} cell mm
 * @param {number} wanted cells
 */
export function liftToVolume(values, cell, wanted) {
  let low = -values.reduce((most, value) => Math.max(most, value), -Infinity);
  let high = -values.reduce((least, value) => Math.min(least, value), Infinity);
  for (let step = 0; step < HALVINGS; step += 1) {
    const middle = (low + high) / 2;
    if (enclosed(values, middle, cell) > wanted) high = middle;
    else low = middle;
  }
  for (let i = 0; i < values.length; i += 1) values[i] += high;
}

/**
 * How many cells lie inside once a field is lifted; those at its edge by their share.
 *
 * @param {Float32Array} values
 * @param {number} lift
 * @param {number} cell mm
 */
function enclosed(values, lift, cell) {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) {
    const share = (values[i] + lift) / cell + 0.5;
    if (share > 0) sum += Math.min(share, 1);
  }
  return sum;
}

/**
 * Signed distances of one slice in mm at the grid's places, at most as far as from slice to slice.
 *
 * @param {Uint8Array} mask
 * @param {Triple} shape
 * @param {Grid} grid
 */
function flatField(mask, [, rows, columns], { counts: [, height, width], origin, step, cell, most }) {
  const inside = new Uint8Array(height * width);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const row = Math.floor(origin[1] + y * step[1]);
      const column = Math.floor(origin[2] + x * step[2]);
      const within = row >= 0 && row < rows && column >= 0 && column < columns;
      inside[y * width + x] = within ? mask[row * columns + column] : 0;
    }
  }
  const toOutside = distances(inside, 0, width, height);
  const toInside = distances(inside, 1, width, height);
  // From a cell's middle to the edge is half a cell less than to the middle of the nearest one across it.
  return Float32Array.from(inside, (value, i) => {
    const away = ((value ? toOutside[i] : toInside[i]) - 0.5) * cell;
    return Math.min(away, most) * (value ? 1 : -1);
  });
}

/**
 * Distances in cells to the nearest cell with a value (Felzenszwalb & Huttenlocher 2012).
 *
 * @param {Uint8Array} cells height × width
 * @param {number} value
 * @param {number} width
 * @param {number} height
 */
function distances(cells, value, width, height) {
  const far = (width + height) ** 2;
  const squares = Float64Array.from(cells, (cell) => (cell === value ? 0 : far));
  for (let x = 0; x < width; x += 1) lowest(squares, x, width, height);
  for (let y = 0; y < height; y += 1) lowest(squares, y * width, 1, width);
  return squares.map(Math.sqrt);
}

/**
 * The lower envelope of the parabolas along one line.
 *
 * @param {Float64Array} squares are changed
 * @param {number} start
 * @param {number} stride
 * @param {number} count
 */
function lowest(squares, start, stride, count) {
  const heights = Float64Array.from({ length: count }, (_, i) => squares[start + i * stride]);
  const places = new Int32Array(count);
  const bounds = new Float64Array(count + 1);
  /** @param {number} a @param {number} b */
  const meet = (a, b) => (heights[a] + a * a - heights[b] - b * b) / (2 * a - 2 * b);
  let last = 0;
  bounds[0] = -Infinity;
  for (let i = 1; i < count; i += 1) {
    while (last > 0 && meet(i, places[last]) <= bounds[last]) last -= 1;
    const at = meet(i, places[last]);
    if (at > bounds[last]) last += 1;
    places[last] = i;
    bounds[last] = last === 0 ? -Infinity : at;
  }
  bounds[last + 1] = Infinity;
  for (let i = 0, k = 0; i < count; i += 1) {
    while (k < last && bounds[k + 1] < i) k += 1;
    squares[start + i * stride] = (i - places[k]) ** 2 + heights[places[k]];
  }
}

/**
 * The slices' fields interpolated at the grid's heights. Before the first and after the last slice with a mask it is
 * half a slice to the end, less near the edge; without a neighbor all is as far outside as can be.
 *
 * @param {Map<number, Float32Array>} flat
 * @param {Grid} grid
 */
function stacked(flat, { counts: [depth, height, width], origin, step, most }) {
  const values = new Float32Array(depth * height * width);
  const outside = new Float32Array(height * width).fill(-most);
  /** @param {Float32Array | undefined} own */
  const beyond = (own) => own?.map((value) => -Math.max(Math.abs(value), most * ROUND)) ?? outside;
  for (let z = 0; z < depth; z += 1) {
    const at = origin[0] + z * step[0] - 0.5; // 0 in the middle of slice 0
    const [lower, upper] = [flat.get(Math.floor(at)), flat.get(Math.floor(at) + 1)];
    const below = lower ?? beyond(upper);
    const above = upper ?? beyond(lower);
    const share = at - Math.floor(at);
    for (let i = 0; i < outside.length; i += 1) {
      values[z * outside.length + i] = below[i] * (1 - share) + above[i] * share;
    }
  }
  return values;
}

/**
 * A light smoothing (1 2 1) along each axis against the steps of the grid.
 *
 * @param {Float32Array} values
 * @param {Triple} counts
 */
function smoothed(values, [depth, height, width]) {
  const strides = [[1, width], [width, height], [width * height, depth]];
  return strides.reduce((before, [stride, count]) => {
    const after = Float32Array.from(before);
    for (let i = 0; i < before.length; i += 1) {
      const place = Math.floor(i / stride) % count;
      if (place > 0 && place < count - 1) after[i] = (before[i - stride] + 2 * before[i] + before[i + stride]) / 4;
    }
    return after;
  }, values);
}

/**
 * The voxels that a mask touches, from the first one's edge to the last one's.
 *
 * @param {Outlined[]} slices
 * @param {Triple} shape
 */
function boxOf(slices, [, rows, columns]) {
  const from = [Infinity, Infinity, Infinity];
  const to = [-Infinity, -Infinity, -Infinity];
  /** @param {number} axis @param {number} place */
  const grow = (axis, place) => {
    from[axis] = Math.min(from[axis], place);
    to[axis] = Math.max(to[axis], place + 1);
  };
  for (const { slice, mask } of slices) {
    grow(0, slice);
    for (let row = 0; row < rows; row += 1) {
      const line = mask.subarray(row * columns, (row + 1) * columns);
      const first = line.indexOf(1);
      if (first < 0) continue;
      grow(1, row);
      grow(2, first);
      grow(2, line.lastIndexOf(1));
    }
  }
  return { from, to };
}
