// @ts-check
/** The viewer's own toolbar: tools, zoom, layouts, what is drawn over the slice, window and presets. */

import { button, element, group, number, slider } from "./control.js";
import { LAYOUTS, obstacle } from "./state.js";
import { leastWidth } from "./tools.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").View} View */

/** Opacity that a switch turns on where none was chosen before. */
const USUAL = { fill: 0.3, heat: 0.6 };

const LINES = {
  window: "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M12 3v18M14 8h4.5M14 12h7M14 16h4.5",
  pan: "M12 3v18M3 12h18M9 6l3-3l3 3M9 18l3 3l3-3M6 9l-3 3l3 3M18 9l3 3l-3 3",
  ruler: "M3 16L16 3l5 5L8 21zM7 12l2.5 2.5M10 9l1.5 1.5M13 6l2.5 2.5",
  crosshair: "M12 2v7M12 15v7M2 12h7M15 12h7",
  out: "M5 12h14",
  in: "M5 12h14M12 5v14",
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  remove: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  slice: "M4 4h16v16H4z",
  planes: "M4 4h16v16H4zM14 4v16M14 12h6",
  surface: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5l8-4.5M12 12v9",
  display: "M4 7h9M17 7h3M4 17h3M11 17h9M13 7a2 2 0 1 0 4 0a2 2 0 1 0-4 0M7 17a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
};
const TOOLS = /** @type {const} */ ([
  ["window", "Window and level", "Window", "W"],
  ["pan", "Pan", "Pan", "P"],
  ["ruler", "Ruler", "Ruler", "R"],
  ["crosshair", "Crosshair", "Crosshair", "C"],
]);
const LAYOUT_TEXTS = { slice: "Slice", planes: "Planes", surface: "Surface" };

/** @typedef {"fill" | "heat"} Shade */

/**
 * @typedef {object} Commands
 * @property {(changes: Partial<State>) => void} change
 * @property {(factor: number) => void} zoom
 * @property {() => void} fit
 * @property {() => void} removeRuler
 */

export class Toolbar {
  /** @type {View | null} */
  #view = null;
  /** @type {Record<Shade, number>} */
  #last = { ...USUAL };
  /** @type {Record<string, HTMLButtonElement>} */
  #buttons = {};
  /** @type {Record<Shade, HTMLInputElement>} */
  #sliders;
  #presets = element("select", "viewer-select");
  #width = number({ label: "W", name: "Window width", enter: () => this.#enterWindow() });
  #level = number({ label: "L", name: "Window level", enter: () => this.#enterWindow() });

  /**
   * @param {string} label
   * @param {Commands} commands
   */
  constructor(label, commands) {
    this.commands = commands;
    this.layouts = this.#layouts();
    this.#sliders = {
      fill: this.#slider("fill", "Opacity of the fill"),
      heat: this.#slider("heat", "Opacity of the heatmap"),
    };
    this.element = element("div", "viewer-toolbar", [
      this.#tools(),
      this.#zoom(),
      this.layouts,
      this.#display(),
      this.#overlays(),
      this.#window(),
    ]);
    this.element.setAttribute("role", "toolbar");
    this.element.setAttribute("aria-label", `${label}: tools`);
  }

  /** @param {View | null} view a scan's, null for none */
  open(view) {
    this.#view = view;
    const volume = view !== null && view.shape[0] > 1;
    this.layouts.hidden = !volume;
    for (const layout of LAYOUTS) {
      const sentence = view === null ? null : obstacle(layout, view);
      this.#buttons[layout].disabled = sentence !== null;
      this.#buttons[layout].title = sentence ?? LAYOUT_TEXTS[layout];
    }
    this.#fillPresets();
    const { outline, fill, uncertain, heat } = this.#buttons;
    for (const control of [outline, fill, this.#sliders.fill, uncertain]) control.disabled = view?.outlines === false;
    for (const control of [heat, this.#sliders.heat]) control.disabled = view?.heatmap === false;
  }

  /**
   * @param {State} state
   * @param {boolean} rulerChosen
   */
  update(state, rulerChosen) {
    for (const [tool] of TOOLS) press(this.#buttons[tool], state.tool === tool);
    for (const layout of LAYOUTS) press(this.#buttons[layout], state.layout === layout);
    press(this.#buttons.outline, state.outline);
    press(this.#buttons.uncertain, state.uncertain);
    for (const name of /** @type {const} */ (["fill", "heat"])) {
      press(this.#buttons[name], state[name] > 0);
      if (state[name] > 0) this.#last[name] = state[name];
      this.#sliders[name].value = String(Math.round(100 * state[name]));
      this.#sliders[name].setAttribute("aria-valuetext", `${Math.round(100 * state[name])} %`);
    }
    this.#buttons.remove.disabled = !rulerChosen;
    this.#showWindow(state.window);
  }

  /** Switch fill or heatmap on or off. @param {Shade} name @param {State} state */
  toggled(name, state) {
    return { [name]: state[name] > 0 ? 0 : this.#last[name] };
  }

  #tools() {
    const made = TOOLS.map(([tool, label, text, key]) =>
      this.#button(tool, { label, text, key, lines: LINES[tool], press: () => this.commands.change({ tool }) }),
    );
    const label = "Delete the chosen ruler";
    const press = () => this.commands.removeRuler();
    const remove = this.#button("remove", { label, key: "Delete", lines: LINES.remove, press });
    return group("Tools", "viewer-tools", [...made, remove]);
  }

  #zoom() {
    const { zoom, fit } = this.commands;
    return group("Zoom", "viewer-zoom", [
      this.#button("out", { label: "Zoom out", key: "-", lines: LINES.out, press: () => zoom(1 / 1.25) }),
      this.#button("fit", { label: "Fit to the window", key: "0", lines: LINES.fit, press: fit }),
      this.#button("in", { label: "Zoom in", key: "+", lines: LINES.in, press: () => zoom(1.25) }),
    ]);
  }

  #layouts() {
    const made = LAYOUTS.map((layout) => {
      const [text, press] = [LAYOUT_TEXTS[layout], () => this.commands.change({ layout })];
      return this.#button(layout, { label: text, text, lines: LINES[layout], press });
    });
    return group("Layout", "viewer-layouts", made);
  }

  /** @param {Shade} name @param {string} label */
  #slider(name, label) {
    const slide = (/** @type {number} */ value) => this.commands.change({ [name]: value / 100 });
    return slider({ label, most: 100, step: 5, slide });
  }

  /** Where there is little room, the rest of the toolbar is behind this button. */
  #display() {
    const toggle = () => {
      const open = this.element.classList.toggle("viewer-open");
      made.setAttribute("aria-expanded", String(open));
    };
    const made = button({ label: "Display", text: "Display", lines: LINES.display, press: toggle });
    made.classList.add("viewer-display");
    made.setAttribute("aria-expanded", "false");
    return made;
  }

  #overlays() {
    const { change } = this.commands;
    const isOn = (/** @type {string} */ name) => this.#buttons[name].getAttribute("aria-pressed") === "true";
    const flip = (/** @type {"outline" | "uncertain"} */ name) => () => change({ [name]: !isOn(name) });
    const shade = (/** @type {Shade} */ name) => () => change({ [name]: isOn(name) ? 0 : this.#last[name] });
    const doubt = "Uncertain edge: tumor with a probability between 25 % and 75 %";
    return group("Over the slice", "viewer-overlays viewer-more", [
      this.#button("outline", { label: "Outline", text: "Outline", key: "O", press: flip("outline") }),
      this.#button("fill", { label: "Fill", text: "Fill", key: "F", press: shade("fill") }),
      this.#sliders.fill,
      this.#button("heat", { label: "Heatmap", text: "Heatmap", key: "H", press: shade("heat") }),
      this.#sliders.heat,
      this.#button("uncertain", { label: doubt, text: "Uncertain", key: "U", press: flip("uncertain") }),
    ]);
  }

  #window() {
    const presets = this.#presets;
    presets.setAttribute("aria-label", "Window preset");
    presets.addEventListener("change", () => {
      const preset = this.#view?.presets[Number(presets.value)];
      if (preset !== undefined) this.commands.change({ window: { low: preset.low, high: preset.high } });
    });
    const reset = button({
      label: "Reset the window",
      text: "Reset",
      press: () => this.#view !== null && this.commands.change({ window: this.#view.window }),
    });
    reset.classList.add("viewer-worded");
    return group("Window", "viewer-window viewer-more", [presets, this.#width.row, this.#level.row, reset]);
  }

  #enterWindow() {
    const [width, level] = [this.#width.field.valueAsNumber, this.#level.field.valueAsNumber];
    if (this.#view === null || !Number.isFinite(width) || !Number.isFinite(level)) return;
    const half = Math.max(width, leastWidth(this.#view)) / 2;
    this.commands.change({ window: { low: level - half, high: level + half } });
  }

  /** @param {import("./types.js").Window} window */
  #showWindow({ low, high }) {
    const digits = digitsFor(this.#view);
    showNumber(this.#width.field, high - low, digits);
    showNumber(this.#level.field, (low + high) / 2, digits);
    const presets = this.#view?.presets ?? [];
    const index = presets.findIndex((preset) => near(preset.low, low) && near(preset.high, high));
    this.#presets.value = index < 0 ? "own" : String(index);
  }

  #fillPresets() {
    const names = this.#view?.presets.map(({ name }) => name) ?? [];
    const own = new Option("Own window", "own");
    own.hidden = true;
    this.#presets.replaceChildren(own, ...names.map((name, index) => new Option(name, String(index))));
  }

  /** @param {string} name @param {import("./control.js").ButtonParts} parts */
  #button(name, parts) {
    this.#buttons[name] = button(parts);
    if (parts.lines === undefined) this.#buttons[name].classList.add("viewer-worded");
    return this.#buttons[name];
  }
}

/** Decimals that a scan's values are written with. @param {View | null} view */
export function digitsFor(view) {
  const width = view === null ? 1 : view.window.high - view.window.low;
  if (width <= 0) return 0; // the scan is the same everywhere
  return Math.min(Math.max(2 - Math.floor(Math.log10(width)), 0), 8);
}

/** @param {HTMLInputElement} field @param {number} value @param {number} digits */
function showNumber(field, value, digits) {
  if (field !== document.activeElement || field.valueAsNumber !== value) field.value = value.toFixed(digits);
}

/** @param {number} a @param {number} b */
function near(a, b) {
  return Math.abs(a - b) < 1e-6 * Math.max(Math.abs(a), Math.abs(b), 1);
}

/** @param {HTMLElement} made @param {boolean} on */
function press(made, on) {
  made.setAttribute("aria-pressed", String(on));
}
