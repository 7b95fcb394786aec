/** What gestures and keys do to a viewer. */

import { digitsFor } from "./toolbar.js";
import { spoken } from "./rulers.js";
import { Surface } from "./surface.js";
import * as tools from "./tools.js";

/** @typedef {import("./types.js").Point} Point */

/**
 * @typedef {import("./tools.js").Desk & {
 *   stage: import("./stage.js").Stage,
 *   toolbar: import("./toolbar.js").Toolbar,
 *   store: import("./store.js").SliceStore | null,
 *   read: (text: string) => void,
 *   hold: (on: boolean) => void,
 * }} FullDesk read: show a sentence about the pixel under the pointer
 */

const TURN = 0.008; // radians a CSS pixel
const KEY_TURN = 0.15; // radians
const KEY_PAN = 0.05; // of what is seen
const REACH = { mouse: 10, touch: 24 }; // CSS pixels within which a ruler's end is taken

/** @param {FullDesk} desk @param {number} factor */
export function zoom(desk, factor) {
  if (desk.state.layout === "surface") desk.stage.surface.zoom(factor);
  else desk.change({ zoom: desk.state.zoom * factor });
  desk.redraw();
}

/** @param {FullDesk} desk */
export function fit(desk) {
  if (desk.state.layout === "surface") desk.stage.surface.reset();
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
    targetAt: (target) => (desk.store === null ? null : desk.stage.targetAt(target)),
    begin: (target, point, how) => begin(desk, target, point, how),
    zoom: (target, point, factor) => {
      if (target instanceof Surface) zoom(desk, factor);
      else tools.zoomAround(desk, target, point, factor);
    },
    scroll: (target, steps) => desk.change(target.moved(desk.state, target.index(desk.state) + steps)),
    wheelZooms: (target) => target instanceof Surface || desk.view.shape[0] === 1,
    hover: (target, point) => {
      if (!(target instanceof Surface)) desk.read(point === null ? "" : valueAt(desk, target, point));
    },
  };
}

/**
 * @param {FullDesk} desk
 * @returns {import("./keyboard.js").Keys}
 */
export function keysOf(desk) {
  const loaded = (act) => (...given) => (desk.store === null ? undefined : act(...given));
  return {
    state: () => desk.state,
    slices: () => desk.view?.shape[0] ?? 1,
    change: (changes) => desk.change(changes),
    zoom: loaded((factor) => zoom(desk, factor)),
    fit: loaded(() => fit(desk)),
    toggle: (name) => desk.change(toggled(desk, name)),
    keySlice: () => desk.view?.key_slice != null && desk.change({ slice: desk.view.key_slice }),
    pan: loaded((x, y) => pan(desk, x, y)),
    turn: loaded((x, y) => {
      desk.stage.surface.turn(x * KEY_TURN, y * KEY_TURN);
      desk.redraw();
    }),
    ruler: {
      chosen: () => desk.rulers.chosen !== null,
      lay: loaded(() => lay(desk)),
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

function turning(desk, surface, start) {
  let before = start;
  const turn = (point) => {
    const scale = TURN / surface.ratio;
    surface.turn((point.x - before.x) * scale, (point.y - before.y) * scale);
    before = point;
    desk.redraw();
  };
  return { move: turn, end: () => undefined, cancel: () => undefined };
}

function toggled({ state, toolbar }, name) {
  return name === "fill" || name === "heat" ? toolbar.toggled(name, state) : { [name]: !state[name] };
}

function pan(desk, x, y) {
  const pane = desk.stage.panes[0];
  const middle = pane.middle(desk.state);
  const { scaleX, scaleY } = pane.placement(desk.state);
  const step = KEY_PAN * Math.min(pane.canvas.width, pane.canvas.height);
  const moved = { x: middle.x + (x * step) / scaleX, y: middle.y + (y * step) / scaleY };
  desk.change({ center: pane.center(desk.state, moved) });
}

/** A ruler across the middle of what is seen, or the other end of the chosen one. */
function lay(desk) {
  const { chosen } = desk.rulers;
  if (chosen !== null) {
    chosen.end = chosen.end === "to" ? "from" : "to";
    desk.say(`${spoken(chosen.ruler)}, other end`);
  } else {
    const pane = desk.stage.panes[0];
    const middle = pane.middle(desk.state);
    const half = pane.canvas.width / 8 / pane.placement(desk.state).scaleX;
    const at = (shift) => inside(pane.plane, { x: middle.x + shift, y: middle.y });
    desk.say(spoken(desk.rulers.add(pane.plane, pane.index(desk.state), at(-half), at(half))));
  }
  desk.redraw();
}

function nudge(desk, x, y) {
  const { ruler, end } = desk.rulers.chosen;
  ruler[end] = inside(ruler.plane, { x: ruler[end].x + x, y: ruler[end].y + y });
  desk.say(spoken(ruler));
  desk.redraw();
}

function inside({ columns, rows }, { x, y }) {
  return { x: Math.min(Math.max(x, 0), columns), y: Math.min(Math.max(y, 0), rows) };
}

/** The source's value under the pointer. */
function valueAt(desk, pane, point) {
  const voxel = pane.voxelAt(desk.state, point);
  const section = voxel === null ? undefined : desk.store?.get(voxel[0]);
  if (section === undefined) return "";
  const [slice, row, column] = voxel;
  const { slope, intercept, shape } = desk.view;
  const value = section.pixels[row * section.columns + column] * slope + intercept;
  const where = shape[0] > 1 ? `Slice ${slice + 1}, row` : "Row";
  return `${where} ${row + 1}, column ${column + 1}: ${value.toFixed(digitsFor(desk.view))}`;
}
