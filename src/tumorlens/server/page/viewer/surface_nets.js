// @ts-check
/** A surface through the zeros of a field: surface nets (Gibson 1998), a vertex in each cell that it crosses. */

const CORNERS = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => [i & 1, (i >> 1) & 1, (i >> 2) & 1]);
const EDGES = [[0, 1], [2, 3], [4, 5], [6, 7], [0, 2], [1, 3], [4, 6], [5, 7], [0, 4], [1, 5], [2, 6], [3, 7]];

/** @typedef {{values: Float32Array, depth: number, height: number, width: number, strides: number[]}} Grid */

/**
 * @param {Float32Array} values (z, y, x), positive inside
 * @param {[number, number, number]} counts along z, y, x
 * @returns {{places: Float32Array, triangles: Uint32Array}} places x, y, z of vertices in grid steps; triangles with
 *   the outside on the side from which they run counter-clockwise, where x, y, z is right-handed
 */
export function surfaceNet(values, [depth, height, width]) {
  const grid = { values, depth, height, width, strides: [1, width, width * height] };
  const { places, numbers } = vertices(grid);
  return { places: Float32Array.from(places), triangles: Uint32Array.from(faces(grid, numbers)) };
}

/** @param {Grid} grid */
function vertices({ values, depth, height, width, strides }) {
  const numbers = new Int32Array(values.length).fill(-1);
  const offsets = CORNERS.map(([x, y, z]) => x * strides[0] + y * strides[1] + z * strides[2]);
  /** @type {number[]} */
  const places = [];
  for (let z = 0; z < depth - 1; z += 1) {
    for (let y = 0; y < height - 1; y += 1) {
      for (let x = 0; x < width - 1; x += 1) {
        const at = z * strides[2] + y * strides[1] + x;
        if (!isCrossed(values, at, offsets)) continue;
        const [dx, dy, dz] = crossing(offsets.map((offset) => values[at + offset]));
        numbers[at] = places.length / 3;
        places.push(x + dx, y + dy, z + dz);
      }
    }
  }
  return { places, numbers };
}

/** Whether a cell's corners lie on both sides. @param {Float32Array} values @param {number} at @param {number[]} offsets */
function isCrossed(values, at, offsets) {
  const inside = values[at] > 0;
  for (let corner = 1; corner < 8; corner += 1) {
    if (values[at + offsets[corner]] > 0 !== inside) return true;
  }
  return false;
}

/** The middle of the points where a cell's edges cross the surface. @param {number[]} corners */
function crossing(corners) {
  const sum = [0, 0, 0];
  let count = 0;
  for (const [a, b] of EDGES) {
    if (corners[a] > 0 === corners[b] > 0) continue;
    const share = corners[a] / (corners[a] - corners[b]);
    for (let axis = 0; axis < 3; axis += 1) {
      sum[axis] += CORNERS[a][axis] + share * (CORNERS[b][axis] - CORNERS[a][axis]);
    }
    count += 1;
  }
  return sum.map((part) => part / count);
}

/**
 * Two triangles for each edge of the grid that the surface crosses, between the four cells around it.
 *
 * @param {Grid} grid
 * @param {Int32Array} numbers of the cells' vertices
 */
function faces({ values, depth, height, width, strides }, numbers) {
  /** @type {number[]} */
  const triangles = [];
  for (let z = 1; z < depth - 1; z += 1) {
    for (let y = 1; y < height - 1; y += 1) {
      for (let x = 1; x < width - 1; x += 1) {
        const at = z * strides[2] + y * strides[1] + x;
        for (let axis = 0; axis < 3; axis += 1) {
          const inside = values[at] > 0;
          if (inside === values[at + strides[axis]] > 0) continue;
          const [u, v] = [strides[(axis + 1) % 3], strides[(axis + 2) % 3]];
          const [a, b, c, d] = [at, at - u, at - u - v, at - v].map((place) => numbers[place]);
          triangles.push(...(inside ? [a, b, c, a, c, d] : [a, c, b, a, d, c]));
        }
      }
    }
  }
  return triangles;
}
