/** What a person has chosen, kept within what the scan allows. */

import { ZOOM } from "./geometry.js";
import { MOST_VOXELS } from "./store.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").View} View */

export const TOOLS = ["window", "pan", "ruler", "crosshair"];
export const LAYOUTS = ["slice", "planes", "surface"];

/** @type {State} */
const BEFORE_ANY_SCAN = {
  slice: 0,
  cursor: [0, 0],
  window: { low: 0, high: 1 },
  outline: true,
  fill: 0,
  heat: 0,
  uncertain: false,
  layout: "slice",
  tool: "window",
  zoom: 1,
  center: [0.5, 0.5, 0.5],
};

/**
 * How a scan is first shown; what is drawn over it stays as chosen for the scan before.
 *
 * @param {View | null} view
 * @param {State} [before]
 * @returns {State}
 */
export function firstState(view, before = BEFORE_ANY_SCAN) {
  const { outline, fill, heat, uncertain, tool } = before;
  const kept = { ...BEFORE_ANY_SCAN, outline, fill, heat, uncertain, tool };
  if (view === null) return kept;
  const [slices, rows, columns] = view.shape;
  return {
    ...kept,
    slice: view.key_slice ?? Math.floor(slices / 2),
    cursor: [Math.floor(rows / 2), Math.floor(columns / 2)],
    window: { low: view.window.low, high: view.window.high },
  };
}

/**
 * Why a layout can't be had, in a sentence; null where it can.
 *
 * @param {string} layout
 * @param {View} view
 * @returns {string | null}
 */
export function obstacle(layout, view) {
  const [slices, rows, columns] = view.shape;
  if (layout === "slice") return null;
  if (slices === 1) return "This scan is a single slice.";
  if (slices * rows * columns > MOST_VOXELS) return "This scan is too large for more than the view of slices.";
  if (layout === "surface" && !view.outlined.some((count) => count > 0)) return "No tumor is outlined.";
  return null;
}

/**
 * A state with some of it changed. What makes no sense is left as it was, what goes too far stops at its limit.
 *
 * @param {State} state
 * @param {Partial<State>} changes
 * @param {View | null} view
 * @returns {State}
 */
export function changed(state, changes, view) {
  const next = { ...state };
  for (const name of ["outline", "uncertain"]) {
    if (typeof changes[name] === "boolean") next[name] = changes[name];
  }
  for (const name of ["fill", "heat"]) next[name] = within(changes[name], 0, 1, state[name]);
  next.zoom = within(changes.zoom, ZOOM.least, ZOOM.most, state.zoom);
  next.center = each(changes.center, state.center, () => [0, 1]);
  if (TOOLS.includes(changes.tool)) next.tool = changes.tool;
  if (isWindow(changes.window)) next.window = { low: changes.window.low, high: changes.window.high };
  return view === null ? next : withinScan(next, changes, view);
}

function withinScan(next, changes, view) {
  const [slices, rows, columns] = view.shape;
  next.slice = Math.round(within(changes.slice, 0, slices - 1, next.slice));
  next.cursor = each(changes.cursor, next.cursor, (index) => [0, [rows, columns][index] - 1]).map(Math.floor);
  if (LAYOUTS.includes(changes.layout) && obstacle(changes.layout, view) === null) next.layout = changes.layout;
  return next;
}

function within(value, least, most, otherwise) {
  return Number.isFinite(value) ? Math.min(Math.max(value, least), most) : otherwise;
}

function each(values, otherwise, limits) {
  if (!Array.isArray(values) || values.length !== otherwise.length) return otherwise;
  return values.map((value, index) => within(value, ...limits(index), otherwise[index]));
}

function isWindow(window) {
  return Number.isFinite(window?.low) && Number.isFinite(window?.high) && window.high > window.low;
}
