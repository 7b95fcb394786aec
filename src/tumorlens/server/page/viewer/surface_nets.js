/** A surface through the zeros of a field: surface nets (Gibson 1998), a vertex in each cell that it crosses. */

const CORNERS = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => [i & 1, (i >> 1) & 1, (i >> 2) & 1]);
const EDGES = [[0, 1], [2, 3], [4, 5], [6, 7], [0, 2], [1, 3], [4, 6], [5, 7], [0, 4], [1, 5], [2, 6], [3, 7]];

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

function vertices({ values, depth, height, width, strides }) {
  const numbers = new Int32Array(values.length).fill(-1);
  const offsets = CORNERS.map(([x, y, z]) => x * strides[0] + y * strides[1] + z * strides[2]);
  const places = [];
  for (let z = 0; z < depth - 1; z += 1) {
    for (let y = 0; y < height - 1; y += 1) {
      for (let x = 0; x < width - 1; x += 1) {
        const at = z * strides[2] + y * strides[1] + x;
        const corners = offsets.map((offset) => values[at + offset]);
        const inside = corners.filter((value) => value > 0).length;
        if (inside === 0 || inside === 8) continue;
        const [dx, dy, dz] = crossing(corners);
        numbers[at] = places.length / 3;
        places.push(x + dx, y + dy, z + dz);
      }
    }
  }
  return { places, numbers };
}

/** The middle of the points where a cell's edges cross the surface. */
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

/** Two triangles for each edge of the grid that the surface crosses, between the four cells around it. */
function faces({ values, depth, height, width, strides }, numbers) {
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
