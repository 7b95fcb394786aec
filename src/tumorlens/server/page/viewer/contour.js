// @ts-check
/**
 * Outlines of masks by marching squares (Lorensen & Cline 1987, in two dimensions), with vertices half way between
 * the middle of a pixel inside and one outside.
 */

/** @typedef {{left: number, right: number, top: number, bottom: number}} Box in whole pixels, inclusive */
/** @typedef {{next: Int32Array, stride: number, left: number, top: number}} Lines */

// A cell has four pixels as corners: 1 top left, 2 top right, 4 bottom right, 8 bottom left. Its sides, in half
// pixels from its middle, where lines enter and leave; the inside lies to the right of a line.
const TOP = [0, -1];
const RIGHT = [1, 0];
const BOTTOM = [0, 1];
const LEFT = [-1, 0];
/** @type {number[][][][]} */
const LINES = [
  [], [[TOP, LEFT]], [[RIGHT, TOP]], [[RIGHT, LEFT]],
  [[BOTTOM, RIGHT]], [[TOP, LEFT], [BOTTOM, RIGHT]], [[BOTTOM, TOP]], [[BOTTOM, LEFT]],
  [[LEFT, BOTTOM]], [[TOP, BOTTOM]], [[RIGHT, TOP], [LEFT, BOTTOM]], [[RIGHT, BOTTOM]],
  [[LEFT, RIGHT]], [[TOP, RIGHT]], [[LEFT, TOP]], [],
];

/**
 * Closed loops around all that is inside; holes get loops of their own.
 *
 * @param {Uint8Array} mask rows × columns, not 0 inside
 * @param {number} columns
 * @param {number} rows
 * @returns {number[][]} each x, y, x, y, … in image coordinates, the last point joins the first
 */
export function loopsAround(mask, columns, rows) {
  const box = boxOf(mask, columns, rows);
  return box === null ? [] : joined(linesIn(mask, columns, rows, box));
}

/**
 * The same as a path.
 *
 * @param {number[][]} loops
 * @returns {Path2D}
 */
export function pathOf(loops) {
  const path = new Path2D();
  for (const loop of loops) {
    path.moveTo(loop[0], loop[1]);
    for (let at = 2; at < loop.length; at += 2) path.lineTo(loop[at], loop[at + 1]);
    path.closePath();
  }
  return path;
}

/**
 * The columns and rows that a mask touches, null where it is empty.
 *
 * @param {Uint8Array} mask
 * @param {number} columns
 * @param {number} rows
 * @returns {Box | null}
 */
function boxOf(mask, columns, rows) {
  const box = { left: columns, right: -1, top: -1, bottom: -1 };
  for (let row = 0; row < rows; row += 1) {
    const line = mask.subarray(row * columns, (row + 1) * columns);
    let first = 0;
    while (first < columns && line[first] === 0) first += 1;
    if (first === columns) continue;
    let last = columns - 1;
    while (line[last] === 0) last -= 1;
    if (box.top < 0) box.top = row;
    box.bottom = row;
    box.left = Math.min(box.left, first);
    box.right = Math.max(box.right, last);
  }
  return box.top < 0 ? null : box;
}

/**
 * All lines, as a table from each line's begin to its end on a grid of half pixels.
 *
 * @param {Uint8Array} mask
 * @param {number} columns
 * @param {number} rows
 * @param {Box} box
 * @returns {Lines}
 */
function linesIn(mask, columns, rows, box) {
  const stride = 2 * (box.right - box.left) + 5;
  const next = new Int32Array(stride * (2 * (box.bottom - box.top) + 5)).fill(-1);
  /** @param {number} row @param {number} column */
  const at = (row, column) =>
    row >= 0 && row < rows && column >= 0 && column < columns && mask[row * columns + column] !== 0 ? 1 : 0;
  for (let row = box.top; row <= box.bottom + 1; row += 1) {
    let code = 0;
    for (let column = box.left; column <= box.right + 1; column += 1) {
      // What was on the right is now on the left.
      code = ((code & 2) >> 1) | ((code & 4) << 1) | (at(row - 1, column) << 1) | (at(row, column) << 2);
      const middle = (2 * (row - box.top) + 1) * stride + 2 * (column - box.left) + 1;
      for (const [from, to] of LINES[code]) {
        next[middle + from[1] * stride + from[0]] = middle + to[1] * stride + to[0];
      }
    }
  }
  return { next, stride, left: box.left - 0.5, top: box.top - 0.5 };
}

/**
 * Lines put end to end; points in the middle of straight runs are left out.
 *
 * @param {Lines} lines
 */
function joined({ next, stride, left, top }) {
  const loops = [];
  for (let start = 0; start < next.length; start += 1) {
    if (next[start] < 0) continue;
    /** @type {number[]} */
    const loop = [];
    let at = start;
    let before = 0;
    while (next[at] >= 0) {
      const to = next[at];
      next[at] = -1;
      if (to - at !== before) loop.push(left + (at % stride) / 2, top + Math.floor(at / stride) / 2);
      before = to - at;
      at = to;
    }
    loops.push(loop);
  }
  return loops;
}
