// @ts-check
/** Keys on the focused stage. */

/** @typedef {import("./types.js").State} State */

export const KEYS_IN_WORDS =
  "Arrow keys, Page Up, Page Down, Home and End go through the slices; Shift with an arrow key pans. " +
  "Plus and minus zoom, 0 fits; while Space is held, dragging pans. W window, P pan, R ruler, C crosshair. " +
  "O outline, F fill, H heatmap, U uncertain edge, K key slice. With the ruler, Enter lays one or changes its end, " +
  "arrow keys move the end, Delete deletes it, Escape leaves it.";

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** @type {Record<string, import("./types.js").Tool>} */
const TOOLS = { w: "window", p: "pan", r: "ruler", c: "crosshair" };

/**
 * @typedef {"outline" | "fill" | "heat" | "uncertain"} Toggle
 *
 * @typedef {object} Keys what keys do
 * @property {() => boolean} isOpen whether there is anything to see; the others are asked only then
 * @property {() => State} state
 * @property {() => number} slices
 * @property {(changes: Partial<State>) => void} change
 * @property {(factor: number) => void} zoom
 * @property {() => void} fit
 * @property {(name: Toggle) => void} toggle
 * @property {() => void} keySlice
 * @property {(x: number, y: number) => void} pan by so many steps
 * @property {(x: number, y: number) => void} turn the surface
 * @property {{chosen: () => boolean, lay: () => void, nudge: (x: number, y: number) => void, remove: () => void,
 *   leave: () => void}} ruler
 * @property {(on: boolean) => void} hold the space bar
 */

/**
 * @param {HTMLElement} stage
 * @param {Keys} keys
 * @param {AbortSignal} signal ends listening
 */
export function listen(stage, keys, signal) {
  /** @param {KeyboardEvent} event */
  const down = (event) => {
    if (!keys.isOpen() || event.target !== stage || event.ctrlKey || event.metaKey || event.altKey) return;
    if (pressed(event, keys)) event.preventDefault();
  };
  /** @param {KeyboardEvent} event */
  const up = (event) => {
    if (event.key === " ") keys.hold(false);
  };
  stage.addEventListener("keydown", down, { signal });
  stage.addEventListener("keyup", up, { signal });
  stage.addEventListener("blur", () => keys.hold(false), { signal });
}

/** Whether a key does something here. @param {KeyboardEvent} event @param {Keys} keys */
function pressed(event, keys) {
  return arrow(event, keys) || jump(event, keys) || rulerKey(event, keys) || letter(event, keys);
}

/** @param {KeyboardEvent} event @param {Keys} keys */
function arrow({ key, shiftKey }, keys) {
  const step = ARROWS[key];
  if (step === undefined) return false;
  const [x, y] = step;
  const { layout, slice } = keys.state();
  if (layout === "surface") keys.turn(x, y);
  else if (keys.ruler.chosen()) keys.ruler.nudge(shiftKey ? 10 * x : x, shiftKey ? 10 * y : y);
  else if (shiftKey || keys.slices() === 1) keys.pan(x, y);
  else keys.change({ slice: slice + x + y });
  return true;
}

/** @param {KeyboardEvent} event @param {Keys} keys */
function jump({ key }, keys) {
  const [last, { slice }] = [keys.slices() - 1, keys.state()];
  const page = Math.max(Math.round(last / 10), 2);
  const places = new Map([["PageUp", slice - page], ["PageDown", slice + page], ["Home", 0], ["End", last]]);
  if (!places.has(key)) return false;
  keys.change({ slice: places.get(key) });
  return true;
}

/** @param {KeyboardEvent} event @param {Keys} keys */
function rulerKey({ key }, { ruler, state }) {
  if (key === "Enter" && state().tool === "ruler") ruler.lay();
  else if ((key === "Delete" || key === "Backspace") && ruler.chosen()) ruler.remove();
  else if (key === "Escape" && ruler.chosen()) ruler.leave();
  else return false;
  return true;
}

/** @param {KeyboardEvent} event @param {Keys} keys */
function letter(event, keys) {
  const key = event.key.toLowerCase();
  /** @type {Record<string, () => void>} */
  const acts = {
    "+": () => keys.zoom(1.25),
    "=": () => keys.zoom(1.25),
    "-": () => keys.zoom(1 / 1.25),
    0: () => keys.fit(),
    o: () => keys.toggle("outline"),
    f: () => keys.toggle("fill"),
    h: () => keys.toggle("heat"),
    u: () => keys.toggle("uncertain"),
    k: () => keys.keySlice(),
    " ": () => keys.hold(true),
  };
  if (Object.hasOwn(TOOLS, key)) keys.change({ tool: TOOLS[key] });
  else if (Object.hasOwn(acts, key)) acts[key]();
  else return false;
  return true;
}
