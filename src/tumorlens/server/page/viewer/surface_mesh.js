// @ts-check
/** The tumor's surface in millimetres of the patient, ready to be drawn. */

import { distanceField, liftToVolume } from "./distance_field.js";
import { surfaceNet } from "./surface_nets.js";
import { voxelSizes } from "./planes.js";
import { triple } from "./triple.js";

/** @typedef {import("./types.js").View} View */

const CLOSE = 0.01; // share of the volume that may be missing
const TURNS = 12; // a tumor of thousands of voxels needs one or two, one of a few voxels some more
const STRIDE = 1.3; // by how much the aim changes at most: the nets of very small masks grow by leaps

/**
 * @typedef {object} Mesh
 * @property {Float32Array} places x, y, z of vertices in mm around the middle; x to the left, y to posterior, z to
 *   superior (columns, rows, slices where the affine is unknown)
 * @property {Float32Array} normals outward, of length 1
 * @property {Uint32Array} triangles
 * @property {number[]} middle of the mask's box, in the same mm
 * @property {number} radius mm from the middle to the farthest vertex
 */

/**
 * @param {import("./types.js").Outlined[]} slices those with a mask
 * @param {View} view
 * @returns {Mesh}
 */
export function meshOf(slices, view) {
  const sizes = voxelSizes(view);
  const field = distanceField(slices, view.shape, sizes);
  const { counts, origin, step } = field;
  const voxels = slices.reduce((sum, { mask }) => sum + mask.reduce((count, value) => count + value, 0), 0);
  const { places, triangles } = netAround(field, voxels / (step[0] * step[1] * step[2]));
  const affine = view.affine ?? plainAffine(sizes);
  const middle = toPatient(affine, triple((axis) => origin[axis] + (step[axis] * (counts[axis] - 1)) / 2));
  let radius = 0;
  for (let at = 0; at < places.length; at += 3) {
    const [x, y, z] = [places[at], places[at + 1], places[at + 2]];
    const voxel = [origin[0] + z * step[0], origin[1] + y * step[1], origin[2] + x * step[2]];
    const mm = toPatient(affine, voxel).map((part, axis) => part - middle[axis]);
    places.set(mm, at);
    radius = Math.max(radius, Math.hypot(...mm));
  }
  if (isMirrored(affine)) turnOver(triangles);
  return { places, triangles, normals: normalsOf(places, triangles), middle, radius };
}

/**
 * A surface that encloses so many cells of the grid.
 *
 * @param {ReturnType<typeof distanceField>} field is lifted
 * @param {number} cells
 * @returns {ReturnType<typeof surfaceNet>}
 */
function netAround({ values, counts, cell }, cells) {
  let aim = cells;
  for (let turn = 1; ; turn += 1) {
    liftToVolume(values, cell, aim);
    const net = surfaceNet(values, counts);
    const share = volumeOf(net) / cells;
    if (turn === TURNS || Math.abs(share - 1) < CLOSE) return net;
    aim *= Math.min(Math.max(1 / share, 1 / STRIDE), STRIDE);
  }
}

/** By the divergence theorem. @param {ReturnType<typeof surfaceNet>} net */
function volumeOf({ places, triangles }) {
  let sum = 0;
  for (let at = 0; at < triangles.length; at += 3) {
    const [a, b, c] = [3 * triangles[at], 3 * triangles[at + 1], 3 * triangles[at + 2]];
    sum +=
      places[a] * (places[b + 1] * places[c + 2] - places[b + 2] * places[c + 1]) +
      places[a + 1] * (places[b + 2] * places[c] - places[b] * places[c + 2]) +
      places[a + 2] * (places[b] * places[c + 1] - places[b + 1] * places[c]);
  }
  return sum / 6;
}

/**
 * Voxel coordinates count edges, an affine counts middles: half a voxel between them.
 *
 * @param {number[][]} affine
 * @param {number[]} voxel
 */
function toPatient(affine, voxel) {
  return triple((row) =>
    [0, 1, 2].reduce((sum, axis) => sum + affine[row][axis] * (voxel[axis] - 0.5), affine[row][3]),
  );
}

/** @param {import("./types.js").Triple} sizes mm @returns {number[][]} */
function plainAffine([slice, row, column]) {
  return [
    [0, 0, column, 0],
    [0, row, 0, 0],
    [slice, 0, 0, 0],
    [0, 0, 0, 1],
  ];
}

/** Whether column, row and slice run as a left hand's fingers do. @param {number[][]} affine */
function isMirrored([[sx, rx, cx], [sy, ry, cy], [sz, rz, cz]]) {
  return cx * (ry * sz - rz * sy) - cy * (rx * sz - rz * sx) + cz * (rx * sy - ry * sx) < 0;
}

/** @param {Uint32Array} triangles are changed */
function turnOver(triangles) {
  for (let at = 0; at < triangles.length; at += 3) {
    [triangles[at + 1], triangles[at + 2]] = [triangles[at + 2], triangles[at + 1]];
  }
}

/**
 * The mean normals of the triangles around each vertex, larger triangles counting more.
 *
 * @param {Float32Array} places
 * @param {Uint32Array} triangles
 */
function normalsOf(places, triangles) {
  const normals = new Float32Array(places.length);
  /** @param {number} from @param {number} to */
  const side = (from, to) => triple((axis) => places[3 * to + axis] - places[3 * from + axis]);
  for (let at = 0; at < triangles.length; at += 3) {
    const [a, b, c] = triangles.subarray(at, at + 3);
    const [u, v] = [side(a, b), side(a, c)];
    const normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    for (const vertex of [a, b, c]) {
      for (let axis = 0; axis < 3; axis += 1) normals[3 * vertex + axis] += normal[axis];
    }
  }
  for (let at = 0; at < normals.length; at += 3) {
    const length = Math.hypot(normals[at], normals[at + 1], normals[at + 2]) || 1;
    for (let axis = 0; axis < 3; axis += 1) normals[at + axis] /= length;
  }
  return normals;
}
