/**
 * How far places are from a mask's edge, on an even grid of millimetres: the field whose zero is the tumor's
 * surface. Between slices the distances are interpolated, so that thick slices don't come out as steps
 * (shape-based interpolation, Raya & Udupa 1990).
 */

/** @typedef {import("./types.js").Triple} Triple */
/** @typedef {{slice: number, mask: Uint8Array}} Outlined one slice's mask, rows × columns */

const FINEST = 72; // cells along the longest side: smooth enough to the eye, and meshed in a few hundredths of a second
const BORDER = 2; // cells around the mask

/**
 * @param {Outlined[]} slices
 * @param {Triple} shape of the scan
 * @param {Triple} sizes mm from slice to slice, row to row, column to column
 * @returns {{values: Float32Array, counts: Triple, origin: Triple, step: Triple}} values (z, y, x), positive inside;
 *   a grid place (z, y, x) is at voxel origin + step × place
 */
export function distanceField(slices, shape, sizes) {
  const box = boxOf(slices, shape);
  const longest = Math.max(...[0, 1, 2].map((axis) => (box.to[axis] - box.from[axis]) * sizes[axis]));
  const cell = Math.max(longest / FINEST, Math.min(sizes[1], sizes[2]));
  const step = /** @type {Triple} */ (sizes.map((size) => cell / size));
  const counts = /** @type {Triple} */ (
    [0, 1, 2].map((axis) => Math.ceil((box.to[axis] - box.from[axis]) / step[axis]) + 2 * BORDER)
  );
  const origin = /** @type {Triple} */ (
    [0, 1, 2].map((axis) => (box.from[axis] + box.to[axis] - (counts[axis] - 1) * step[axis]) / 2)
  );
  const grid = { counts, origin, step, cell, most: Math.max(sizes[0], cell) };
  const flat = new Map(slices.map(({ slice, mask }) => [slice, flatField(mask, shape, grid)]));
  return { values: smoothed(stacked(flat, grid), counts), counts, origin, step };
}

/** Signed distances of one slice in mm at the grid's places, at most as far as from slice to slice. */
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

/** Distances in cells to the nearest cell with a value (Felzenszwalb & Huttenlocher 2012). */
function distances(cells, value, width, height) {
  const far = (width + height) ** 2;
  const squares = Float64Array.from(cells, (cell) => (cell === value ? 0 : far));
  for (let x = 0; x < width; x += 1) lowest(squares, x, width, height);
  for (let y = 0; y < height; y += 1) lowest(squares, y * width, 1, width);
  return squares.map(Math.sqrt);
}

/** The lower envelope of the parabolas along one line. */
function lowest(squares, start, stride, count) {
  const heights = Float64Array.from({ length: count }, (_, i) => squares[start + i * stride]);
  const places = new Int32Array(count);
  const bounds = new Float64Array(count + 1);
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

/** The slices' fields interpolated at the grid's heights; a slice without mask is as far outside as can be. */
function stacked(flat, { counts: [depth, height, width], origin, step, most }) {
  const values = new Float32Array(depth * height * width);
  const outside = new Float32Array(height * width).fill(-most);
  for (let z = 0; z < depth; z += 1) {
    const at = origin[0] + z * step[0] - 0.5; // 0 in the middle of slice 0
    const below = flat.get(Math.floor(at)) ?? outside;
    const above = flat.get(Math.floor(at) + 1) ?? outside;
    const share = at - Math.floor(at);
    for (let i = 0; i < outside.length; i += 1) {
      values[z * outside.length + i] = below[i] * (1 - share) + above[i] * share;
    }
  }
  return values;
}

/** A light smoothing (1 2 1) along each axis against the steps of the grid. */
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

/** The voxels that a mask touches, from the first one's edge to the last one's. */
function boxOf(slices, [, rows, columns]) {
  const from = [Infinity, Infinity, Infinity];
  const to = [-Infinity, -Infinity, -Infinity];
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
