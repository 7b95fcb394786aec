// @ts-check
/** What a person has chosen, kept within what the scan allows. */

import { ZOOM } from "./geometry.js";
import { MOST_VOXELS } from "./store.js";
import { triple } from "./triple.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").View} View */

/** @type {readonly import("./types.js").Tool[]} */
export const TOOLS = ["window", "pan", "ruler", "crosshair"];
/** @type {readonly import("./types.js").Layout[]} */
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
  const { tool, window, center } = changes;
  for (const name of /** @type {const} */ (["outline", "uncertain"])) {
    const value = changes[name];
    if (typeof value === "boolean") next[name] = value;
  }
  for (const name of /** @type {const} */ (["fill", "heat"])) next[name] = within(changes[name], 0, 1, state[name]);
  next.zoom = within(changes.zoom, ZOOM.least, ZOOM.most, state.zoom);
  if (Array.isArray(center)) next.center = triple((axis) => within(center[axis], 0, 1, state.center[axis]));
  if (tool !== undefined && TOOLS.includes(tool)) next.tool = tool;
  if (window !== undefined && isWindow(window)) next.window = { low: window.low, high: window.high };
  return view === null ? next : withinScan(next, changes, view);
}

/** @param {State} next is changed @param {Partial<State>} changes @param {View} view */
function withinScan(next, { slice, cursor, layout }, view) {
  const [slices, rows, columns] = view.shape;
  next.slice = Math.round(within(slice, 0, slices - 1, next.slice));
  if (Array.isArray(cursor)) {
    const row = Math.floor(within(cursor[0], 0, rows - 1, next.cursor[0]));
    next.cursor = [row, Math.floor(within(cursor[1], 0, columns - 1, next.cursor[1]))];
  }
  if (layout !== undefined && LAYOUTS.includes(layout) && obstacle(layout, view) === null) next.layout = layout;
  return next;
}

/**
 * @param {unknown} value
 * @param {number} least
 * @param {number} most
 * @param {number} otherwise where the value is no finite number
 */
function within(value, least, most, otherwise) {
  return isFinite(value) ? Math.min(Math.max(value, least), most) : otherwise;
}

/** @param {Partial<import("./types.js").Window> | null} window @returns {window is import("./types.js").Window} */
function isWindow(window) {
  const [low, high] = [window?.low, window?.high];
  return isFinite(low) && isFinite(high) && high > low;
}

/** @param {unknown} value @returns {value is number} */
function isFinite(value) {
  return typeof value === "number" && Number.isFinite(value);
}
