// @ts-check
/** What dragging does: each tool begins a drag, which is then moved, ended or given up. */

import { middleAround } from "./geometry.js";
import { Rulers, spoken } from "./rulers.js";

/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./pane.js").Pane} Pane */
/** @typedef {import("./rulers.js").Ruler} Ruler */

/**
 * @typedef {object} Desk what tools work on
 * @property {import("./types.js").State} state
 * @property {boolean} isOpen whether a scan is; without one there is no view
 * @property {import("./types.js").View} view
 * @property {Rulers} rulers
 * @property {(changes: Partial<import("./types.js").State>) => void} change
 * @property {() => void} redraw
 * @property {(sentence: string) => void} say
 *
 * @typedef {object} Drag
 * @property {(point: Point) => void} move
 * @property {(moved: boolean) => void} end moved: false for a click
 * @property {() => void} cancel take back what it did
 */

const WINDOW_TRAVEL = 400; // CSS pixels of dragging that change the window by its first width

/**
 * Window and level: to the right is wider, upwards is brighter.
 *
 * @param {Desk} desk
 * @param {Pane} pane
 * @param {Point} start
 * @returns {Drag}
 */
export function windowDrag(desk, pane, start) {
  const before = desk.state.window;
  const first = desk.view.window;
  const scale = (first.high - first.low) / WINDOW_TRAVEL / pane.ratio;
  return {
    move: (point) => {
      const width = Math.max(before.high - before.low + (point.x - start.x) * scale, leastWidth(desk.view));
      const level = (before.low + before.high) / 2 + (point.y - start.y) * scale;
      desk.change({ window: { low: level - width / 2, high: level + width / 2 } });
    },
    end: (moved) => {
      if (!moved) setCursor(desk, pane, start);
    },
    cancel: () => desk.change({ window: before }),
  };
}

/** The narrowest window that still makes sense. @param {import("./types.js").View} view */
export function leastWidth({ window, slope }) {
  return Math.min(Math.max(Math.abs(slope), (window.high - window.low) / 1000), window.high - window.low);
}

/** @param {Desk} desk @param {Pane} pane @param {Point} start @returns {Drag} */
export function panDrag(desk, pane, start) {
  const before = desk.state.center;
  const middle = pane.middle(desk.state);
  const { scaleX, scaleY } = pane.placement(desk.state);
  return {
    move: ({ x, y }) => {
      const moved = { x: middle.x - (x - start.x) / scaleX, y: middle.y - (y - start.y) / scaleY };
      desk.change({ center: pane.center(desk.state, moved) });
    },
    end: (moved) => {
      if (!moved) setCursor(desk, pane, start);
    },
    cancel: () => desk.change({ center: before }),
  };
}

/** @param {Desk} desk @param {Pane} pane @param {Point} start @returns {Drag} */
export function crosshairDrag(desk, pane, start) {
  const { slice, cursor } = desk.state;
  setCursor(desk, pane, start, true);
  return {
    move: (point) => setCursor(desk, pane, point, true),
    end: () => undefined,
    cancel: () => desk.change({ slice, cursor }),
  };
}

/**
 * Draws a ruler, or moves one that lies there.
 *
 * @param {Desk} desk
 * @param {Pane} pane
 * @param {Point} start
 * @param {number} reach how near to an end is on it, in screen pixels
 * @returns {Drag}
 */
export function rulerDrag(desk, pane, start, reach) {
  const placement = pane.placement(desk.state);
  const index = pane.index(desk.state);
  const hit = Rulers.under(desk.rulers.on(pane.plane, index), placement, start, reach);
  const from = within(pane, placement.toPicture(start));
  const ruler = hit?.ruler ?? desk.rulers.add(pane.plane, index, from, from);
  const end = hit === null ? "to" : hit.end;
  const before = { from: ruler.from, to: ruler.to };
  desk.rulers.chosen = { ruler, end: end ?? "to" };
  desk.redraw();
  return {
    move: (point) => {
      const to = placement.toPicture(point);
      if (end === null) shift(ruler, before, { x: to.x - from.x, y: to.y - from.y });
      else ruler[end] = within(pane, to);
      desk.redraw();
    },
    end: (moved) => {
      const dropped = hit === null && !moved;
      if (dropped) desk.rulers.remove(ruler);
      else desk.say(spoken(ruler));
      desk.redraw();
    },
    cancel: () => {
      if (hit === null) desk.rulers.remove(ruler);
      else Object.assign(ruler, before);
      desk.redraw();
    },
  };
}

/**
 * Zoom while a point stays where it is.
 *
 * @param {Desk} desk
 * @param {Pane} pane
 * @param {Point} point on the screen
 * @param {number} factor
 */
export function zoomAround(desk, pane, point, factor) {
  const { state } = desk;
  const fixed = pane.placement(state).toPicture(point);
  const before = state.zoom;
  desk.change({ zoom: before * factor });
  const ratio = desk.state.zoom / before;
  if (ratio === 1) return;
  desk.change({ center: pane.center(state, middleAround(pane.middle(state), fixed, ratio)) });
}

/**
 * Bring the planes to cross at a point. Other than in the linked planes a click leaves everything as it is.
 *
 * @param {Desk} desk
 * @param {Pane} pane
 * @param {Point} point
 */
function setCursor(desk, pane, point, always = false) {
  if (!always && desk.state.layout !== "planes") return;
  const voxel = pane.voxelAt(desk.state, point);
  if (voxel === null) return;
  const [slice, row, column] = voxel;
  desk.change({ slice, cursor: [row, column] });
}

/** @param {Ruler} ruler @param {{from: Point, to: Point}} before @param {Point} by */
function shift(ruler, before, { x, y }) {
  ruler.from = { x: before.from.x + x, y: before.from.y + y };
  ruler.to = { x: before.to.x + x, y: before.to.y + y };
}

/** @param {Pane} pane @param {Point} point @returns {Point} */
function within({ plane }, { x, y }) {
  return { x: Math.min(Math.max(x, 0), plane.columns), y: Math.min(Math.max(y, 0), plane.rows) };
}
