/** The tumor's surface in millimetres of the patient, ready to be drawn. */

import { distanceField } from "./distance_field.js";
import { surfaceNet } from "./surface_nets.js";
import { voxelSizes } from "./planes.js";

/** @typedef {import("./types.js").View} View */

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
 * @param {{slice: number, mask: Uint8Array}[]} slices those with a mask
 * @param {View} view
 * @returns {Mesh}
 */
export function meshOf(slices, view) {
  const sizes = voxelSizes(view);
  const { values, counts, origin, step } = distanceField(slices, view.shape, sizes);
  const { places, triangles } = surfaceNet(values, counts);
  const affine = view.affine ?? plainAffine(sizes);
  const middle = toPatient(affine, [0, 1, 2].map((axis) => origin[axis] + (step[axis] * (counts[axis] - 1)) / 2));
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

/** Voxel coordinates count edges, an affine counts middles: half a voxel between them. */
function toPatient(affine, voxel) {
  return [0, 1, 2].map((row) =>
    [0, 1, 2].reduce((sum, axis) => sum + affine[row][axis] * (voxel[axis] - 0.5), affine[row][3]),
  );
}

function plainAffine([slice, row, column]) {
  return [
    [0, 0, column, 0],
    [0, row, 0, 0],
    [slice, 0, 0, 0],
    [0, 0, 0, 1],
  ];
}

/** Whether column, row and slice run as a left hand's fingers do. */
function isMirrored([[sx, rx, cx], [sy, ry, cy], [sz, rz, cz]]) {
  return cx * (ry * sz - rz * sy) - cy * (rx * sz - rz * sx) + cz * (rx * sy - ry * sx) < 0;
}

function turnOver(triangles) {
  for (let at = 0; at < triangles.length; at += 3) {
    [triangles[at + 1], triangles[at + 2]] = [triangles[at + 2], triangles[at + 1]];
  }
}

/** The mean normals of the triangles around each vertex, larger triangles counting more. */
function normalsOf(places, triangles) {
  const normals = new Float32Array(places.length);
  const side = (from, to) => [0, 1, 2].map((axis) => places[3 * to + axis] - places[3 * from + axis]);
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
