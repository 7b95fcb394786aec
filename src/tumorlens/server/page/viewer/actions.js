// @ts-check
/** What gestures and keys do to a viewer. */

import { spoken } from "./rulers.js";
import { Surface } from "./surface.js";
import * as tools from "./tools.js";

/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./tools.js").Drag} Drag */

/**
 * @typedef {import("./tools.js").Desk & {
 *   stage: import("./stage.js").Stage,
 *   toolbar: import("./toolbar.js").Toolbar,
 *   store: import("./store.js").SliceStore,
 *   readout: import("./readout.js").Readout,
 *   hold: (on: boolean) => void,
 * }} FullDesk
 */

const TURN = 0.008; // radians a CSS pixel
const KEY_TURN = 0.15; // radians
const KEY_PAN = 0.05; // of what is seen
const REACH = { mouse: 10, touch: 24 }; // CSS pixels within which a ruler's end is taken

/** @param {FullDesk} desk @param {number} factor */
export function zoom(desk, factor) {
  if (desk.state.layout === "surface") desk.stage.surface?.zoom(factor);
  else desk.change({ zoom: desk.state.zoom * factor });
  desk.redraw();
}

/** @param {FullDesk} desk */
export function fit(desk) {
  if (desk.state.layout === "surface") desk.stage.surface?.reset();
  else desk.change({ zoom: 1, center: [0.5, 0.5, 0.5] });
  desk.redraw();
}

/** @param {FullDesk} desk */
export function removeRuler(desk) {
  const chosen = desk.rulers.chosen?.ruler;
  if (chosen === undefined) return;
  desk.rulers.remove(chosen);
  desk.say(`Ruler ${chosen.number} deleted`);
  desk.redraw();
}

/**
 * @param {FullDesk} desk
 * @returns {import("./gestures.js").Actions}
 */
export function gesturesOf(desk) {
  return {
    targetAt: (target) => (desk.isOpen ? desk.stage.targetAt(target) : null),
    begin: (target, point, how) => begin(desk, target, point, how),
    zoom: (target, point, factor) => {
      if (target instanceof Surface) zoom(desk, factor);
      else tools.zoomAround(desk, target, point, factor);
    },
    scroll: (target, steps) => {
      if (!(target instanceof Surface)) desk.change(target.moved(desk.state, target.index(desk.state) + steps));
    },
    wheelZooms: (target) => target instanceof Surface || desk.view.shape[0] === 1,
    hover: (target, point) => {
      if (target instanceof Surface) desk.readout.leave();
      else desk.readout.point(target, point);
    },
    leave: () => desk.readout.leave(),
  };
}

/**
 * @param {FullDesk} desk
 * @returns {import("./keyboard.js").Keys}
 */
export function keysOf(desk) {
  return {
    isOpen: () => desk.isOpen,
    state: () => desk.state,
    slices: () => desk.view.shape[0],
    change: (changes) => desk.change(changes),
    zoom: (factor) => zoom(desk, factor),
    fit: () => fit(desk),
    toggle: (name) => desk.change(toggled(desk, name)),
    keySlice: () => desk.view.key_slice !== null && desk.change({ slice: desk.view.key_slice }),
    pan: (x, y) => pan(desk, x, y),
    turn: (x, y) => {
      desk.stage.surface?.turn(x * KEY_TURN, y * KEY_TURN);
      desk.redraw();
    },
    ruler: {
      chosen: () => desk.rulers.chosen !== null,
      lay: () => desk.state.layout !== "surface" && lay(desk),
      nudge: (x, y) => nudge(desk, x, y),
      remove: () => removeRuler(desk),
      leave: () => {
        desk.rulers.chosen = null;
        desk.redraw();
      },
    },
    hold: (on) => desk.hold(on),
  };
}

/**
 * @param {FullDesk} desk
 * @param {import("./gestures.js").Target} target
 * @param {Point} point
 * @param {import("./gestures.js").How} how
 * @returns {Drag}
 */
function begin(desk, target, point, { pan: panning, touch }) {
  desk.stage.element.focus({ preventScroll: true });
  if (target instanceof Surface) return turning(desk, target, point);
  if (panning) return tools.panDrag(desk, target, point);
  const { tool } = desk.state;
  if (tool === "ruler") {
    return tools.rulerDrag(desk, target, point, REACH[touch ? "touch" : "mouse"] * target.ratio);
  }
  const drags = { window: tools.windowDrag, pan: tools.panDrag, crosshair: tools.crosshairDrag };
  return drags[tool](desk, target, point);
}

/** @param {FullDesk} desk @param {Surface} surface @param {Point} start @returns {Drag} */
function turning(desk, surface, start) {
  let before = start;
  /** @param {Point} point */
  const turn = (point) => {
    const scale = TURN / surface.ratio;
    surface.turn((point.x - before.x) * scale, (point.y - before.y) * scale);
    before = point;
    desk.redraw();
  };
  return { move: turn, end: () => undefined, cancel: () => undefined };
}

/** @param {FullDesk} desk @param {import("./keyboard.js").Toggle} name */
function toggled({ state, toolbar }, name) {
  return name === "fill" || name === "heat" ? toolbar.toggled(name, state) : { [name]: !state[name] };
}

/** @param {FullDesk} desk @param {number} x @param {number} y */
function pan(desk, x, y) {
  const pane = desk.stage.panes[0];
  const middle = pane.middle(desk.state);
  const { scaleX, scaleY } = pane.placement(desk.state);
  const step = KEY_PAN * Math.min(pane.canvas.width, pane.canvas.height);
  const moved = { x: middle.x + (x * step) / scaleX, y: middle.y + (y * step) / scaleY };
  desk.change({ center: pane.center(desk.state, moved) });
}

/** A ruler across the middle of what is seen, or the other end of the chosen one. @param {FullDesk} desk */
function lay(desk) {
  const { chosen } = desk.rulers;
  if (chosen !== null) {
    chosen.end = chosen.end === "to" ? "from" : "to";
    desk.say(`${spoken(chosen.ruler)}, other end`);
  } else {
    const pane = desk.stage.panes[0];
    const middle = pane.middle(desk.state);
    const half = pane.canvas.width / 8 / pane.placement(desk.state).scaleX;
    const at = (/** @type {number} */ shift) => inside(pane.plane, { x: middle.x + shift, y: middle.y });
    desk.say(spoken(desk.rulers.add(pane.plane, pane.index(desk.state), at(-half), at(half))));
  }
  desk.redraw();
}

/** @param {FullDesk} desk @param {number} x @param {number} y */
function nudge(desk, x, y) {
  if (desk.rulers.chosen === null) return;
  const { ruler, end } = desk.rulers.chosen;
  ruler[end] = inside(ruler.plane, { x: ruler[end].x + x, y: ruler[end].y + y });
  desk.say(spoken(ruler));
  desk.redraw();
}

/** @param {import("./planes.js").Plane} plane @param {Point} point @returns {Point} */
function inside({ columns, rows }, { x, y }) {
  return { x: Math.min(Math.max(x, 0), columns), y: Math.min(Math.max(y, 0), rows) };
}
