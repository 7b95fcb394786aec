/** The viewing surface for a scan's slices: what the rest of the page uses. */

import { fit, gesturesOf, keysOf, removeRuler, zoom } from "./actions.js";
import { element } from "./control.js";
import { Gestures } from "./gestures.js";
import { KEYS_IN_WORDS, listen } from "./keyboard.js";
import { Rulers } from "./rulers.js";
import { SliceBar, sentence } from "./slice_bar.js";
import { Stage } from "./stage.js";
import { changed, firstState } from "./state.js";
import { SliceStore } from "./store.js";
import { Toolbar } from "./toolbar.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").View} View */

const QUIET = 250; // milliseconds without a new slice before one is read out
let count = 0;

/** Builds its controls and canvases inside an element; reports a person's changes by `change` (detail: the state). */
export class Viewer extends EventTarget {
  /** @type {View | null} */
  #view = null;
  /** @type {SliceStore | null} */
  #store = null;
  #state = firstState(null);
  #rulers = new Rulers();
  #ending = new AbortController();
  #saying = 0;

  /**
   * @param {HTMLElement} home
   * @param {{label: string}} options label: what is shown, for screen readers
   */
  constructor(home, { label }) {
    super();
    const desk = this.#desk();
    this.toolbar = new Toolbar(label, {
      change: desk.change,
      zoom: (factor) => desk.store !== null && zoom(desk, factor),
      fit: () => desk.store !== null && fit(desk),
      removeRuler: () => removeRuler(desk),
    });
    this.stage = new Stage(label, () => this.draw());
    this.bar = new SliceBar((slice) => desk.change({ slice }));
    count += 1;
    const help = element("p", "viewer-unseen", [KEYS_IN_WORDS]);
    help.id = `viewer-keys-${count}`;
    this.stage.element.setAttribute("aria-describedby", help.id);
    this.live = element("div", "viewer-unseen");
    this.live.setAttribute("role", "status");
    this.element = element("div", "viewer", [this.toolbar.element, this.stage.element, this.bar.element, help, this.live]);
    home.append(this.element);
    this.gestures = new Gestures(this.stage.element, gesturesOf(desk), this.#ending.signal);
    listen(this.stage.element, keysOf(desk), this.#ending.signal);
    this.clear();
  }

  /** A copy of what is chosen. @returns {State} */
  get state() {
    return structuredClone(this.#state);
  }

  /**
   * Show a scan; ends when its first slice is drawn.
   *
   * @param {{view: View, layers: (n: number, signal: AbortSignal) => Promise<ArrayBuffer>}} scan
   * @throws {Error} the first slice can't be loaded
   */
  async show({ view, layers }) {
    const store = new SliceStore(view, layers);
    this.#open(view, store);
    await new Promise((done, fail) => {
      store.addEventListener("loaded", () => {
        this.stage.redraw();
        if (store.get(this.#state.slice) !== undefined) done(undefined);
      });
      store.addEventListener("problem", ({ detail: { slice, error } }) => {
        this.#told(slice, error);
        if (slice === this.#state.slice) fail(error);
      });
      store.addEventListener("closed", () => done(undefined));
      this.#aim();
    });
    if (this.#store === store) this.draw();
  }

  /** Show nothing. */
  clear() {
    this.#open(null, null);
  }

  /** Change any of what is chosen; unknown or impossible values are left out. @param {Partial<State>} changes */
  apply(changes) {
    this.#set(changed(this.#state, changes, this.#view));
  }

  /** Draw at once; otherwise changes are drawn at the next frame. */
  draw() {
    if (this.#store !== null) this.stage.paint(this.#state, this.#store, this.#rulers);
  }

  /** Leave the page. */
  dispose() {
    this.#open(null, null);
    this.#ending.abort();
    this.stage.close();
    this.bar.close();
    this.element.remove();
  }

  #open(view, store) {
    this.#store?.close();
    this.#store = store;
    this.#view = view;
    this.#rulers = new Rulers();
    this.#state = firstState(view, this.#state);
    this.element.classList.toggle("viewer-empty", view === null);
    this.stage.open(view);
    this.stage.arrange(this.#state);
    this.toolbar.open(view);
    this.bar.open(view, this.stage.colors.outline);
    this.#show();
    if (view !== null) this.#saySlice();
  }

  /** What tools, gestures and keys work on. @returns {import("./actions.js").FullDesk} */
  #desk() {
    const viewer = this;
    return {
      get state() {
        return viewer.#state;
      },
      get view() {
        return viewer.#view;
      },
      get store() {
        return viewer.#store;
      },
      get rulers() {
        return viewer.#rulers;
      },
      get stage() {
        return viewer.stage;
      },
      get toolbar() {
        return viewer.toolbar;
      },
      change: (changes) => viewer.#change(changes),
      redraw: () => viewer.#show(),
      say: (text) => viewer.#say(text),
      read: (text) => (viewer.bar.readout.textContent = text),
      hold: (on) => viewer.#hold(on),
    };
  }

  /** A change by a person. */
  #change(changes) {
    const before = this.#state;
    this.apply(changes);
    if (this.#state !== before) this.dispatchEvent(new CustomEvent("change", { detail: this.state }));
  }

  #set(state) {
    const before = this.#state;
    if (JSON.stringify(state) === JSON.stringify(before)) return;
    this.#state = state;
    const moved = state.slice !== before.slice;
    if (this.#view !== null && (moved || state.layout !== before.layout)) this.#aim();
    if (moved) this.#left();
    this.stage.arrange(state);
    this.#show();
  }

  #show() {
    this.toolbar.update(this.#state, this.#rulers.chosen !== null);
    this.bar.update(this.#state.slice);
    this.stage.redraw();
  }

  /** Load what the layout needs, from the slice that is shown outwards. */
  #aim() {
    const { slice, layout } = this.#state;
    const { outlined } = this.#view;
    const wanted = { slice: null, planes: () => true, surface: (n) => outlined[n] > 0 }[layout];
    this.stage.tell("");
    this.#store.aim(slice, wanted);
  }

  /** The space bar: while it is held, dragging pans. */
  #hold(on) {
    this.gestures.panning = on;
    this.stage.element.toggleAttribute("data-panning", on);
  }

  #left() {
    this.#rulers.chosen = null;
    this.#saySlice();
  }

  #told(slice, error) {
    if (slice !== this.#state.slice) return;
    this.stage.tell(`Slice ${slice + 1} couldn't be loaded: ${error.message}`);
    this.#say(this.stage.sentence.textContent);
  }

  #say(text) {
    clearTimeout(this.#saying);
    this.#saying = 0;
    this.live.textContent = text;
  }

  #saySlice() {
    clearTimeout(this.#saying);
    this.#saying = setTimeout(() => {
      if (this.#view !== null) this.live.textContent = sentence(this.#view, this.#state.slice);
    }, QUIET);
  }
}
