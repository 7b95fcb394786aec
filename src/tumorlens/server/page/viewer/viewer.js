// @ts-check
/** The viewing surface for a scan's slices: what the rest of the page uses. */

import { fit, gesturesOf, keysOf, removeRuler, zoom } from "./actions.js";
import { element } from "./control.js";
import { Gestures } from "./gestures.js";
import { KEYS_IN_WORDS, listen } from "./keyboard.js";
import { Readout } from "./readout.js";
import { Rulers } from "./rulers.js";
import { SliceBar, sentence } from "./slice_bar.js";
import { Stage } from "./stage.js";
import { changed, firstState } from "./state.js";
import { SliceStore } from "./store.js";
import { Toolbar } from "./toolbar.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").View} View */
/** @typedef {{view: View, store: SliceStore}} Shown a scan that is open */
/** @typedef {{slice: number, error: Error}} Problem */

const QUIET = 250; // milliseconds without a new slice before one is read out
let count = 0;

/** Builds its controls and canvases inside an element; reports a person's changes by `change` (detail: the state). */
export class Viewer extends EventTarget {
  /** @type {Shown | null} */
  #shown = null;
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
      zoom: (factor) => desk.isOpen && zoom(desk, factor),
      fit: () => desk.isOpen && fit(desk),
      removeRuler: () => removeRuler(desk),
    });
    this.stage = new Stage(label, () => this.draw());
    this.bar = new SliceBar((slice) => desk.change({ slice }));
    this.readout = new Readout(desk, (text) => (this.bar.readout.textContent = text));
    count += 1;
    const help = element("p", "viewer-unseen", [KEYS_IN_WORDS]);
    help.id = `viewer-keys-${count}`;
    this.stage.element.setAttribute("aria-describedby", help.id);
    this.live = element("div", "viewer-unseen");
    this.live.setAttribute("role", "status");
    const parts = [this.toolbar.element, this.stage.element, this.bar.element, help, this.live];
    this.element = element("div", "viewer", parts);
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
    const shown = { view, store };
    this.#open(shown);
    await new Promise((done, fail) => {
      store.addEventListener("loaded", () => {
        this.stage.redraw();
        if (store.get(this.#state.slice) !== undefined) done(undefined);
      });
      store.addEventListener("problem", (event) => {
        const { slice, error } = /** @type {CustomEvent<Problem>} */ (event).detail;
        this.#told(slice, error);
        if (slice === this.#state.slice) fail(error);
      });
      store.addEventListener("closed", () => done(undefined));
      this.#aim(shown);
    });
    if (this.#shown === shown) this.draw();
  }

  /** Show nothing. */
  clear() {
    this.#open(null);
  }

  /** Change any of what is chosen; unknown or impossible values are left out. @param {Partial<State>} changes */
  apply(changes) {
    this.#set(changed(this.#state, changes, this.#shown?.view ?? null));
  }

  /** Draw at once; otherwise changes are drawn at the next frame. */
  draw() {
    if (this.#shown !== null) this.stage.paint(this.#state, this.#shown.store, this.#rulers);
    this.readout.update();
  }

  /** Leave the page. */
  dispose() {
    this.#open(null);
    this.#ending.abort();
    this.stage.close();
    this.bar.close();
    this.element.remove();
  }

  /** @param {Shown | null} shown */
  #open(shown) {
    const view = shown?.view ?? null;
    this.#shown?.store.close();
    this.#shown = shown;
    this.#rulers = new Rulers();
    this.#state = firstState(view, this.#state);
    this.element.classList.toggle("viewer-empty", view === null);
    this.readout.leave();
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
      get isOpen() {
        return viewer.#shown !== null;
      },
      get view() {
        return viewer.#scan.view;
      },
      get store() {
        return viewer.#scan.store;
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
      get readout() {
        return viewer.readout;
      },
      hold: (on) => viewer.#hold(on),
    };
  }

  /** The scan that is open; tools, gestures and keys ask for it only then. */
  get #scan() {
    if (this.#shown === null) throw new Error("Expected a scan to be open, got none.");
    return this.#shown;
  }

  /** A change by a person. @param {Partial<State>} changes */
  #change(changes) {
    const before = this.#state;
    this.apply(changes);
    if (this.#state !== before) this.dispatchEvent(new CustomEvent("change", { detail: this.state }));
  }

  /** @param {State} state */
  #set(state) {
    const before = this.#state;
    if (JSON.stringify(state) === JSON.stringify(before)) return;
    this.#state = state;
    const moved = state.slice !== before.slice;
    if (this.#shown !== null && (moved || state.layout !== before.layout)) this.#aim(this.#shown);
    if (moved) this.#saySlice();
    this.stage.arrange(state);
    this.#leaveHidden();
    this.#show();
  }

  #show() {
    this.toolbar.update(this.#state, this.#rulers.chosen !== null);
    this.bar.update(this.#state.slice);
    this.stage.redraw();
  }

  /** Load what the layout needs, from the slice that is shown outwards. @param {Shown} shown */
  #aim({ view: { outlined }, store }) {
    const { slice, layout } = this.#state;
    /** @type {Record<import("./types.js").Layout, import("./store.js").Wanted | null>} */
    const wanted = { slice: null, planes: () => true, surface: (n) => outlined[n] > 0 };
    this.stage.tell("");
    store.aim(slice, wanted[layout]);
  }

  /** The space bar: while it is held, dragging pans. @param {boolean} on */
  #hold(on) {
    this.gestures.panning = on;
    this.stage.element.toggleAttribute("data-panning", on);
  }

  /** A ruler that has gone out of sight is no longer chosen: keys would move it unseen. */
  #leaveHidden() {
    const { chosen } = this.#rulers;
    if (chosen !== null && !this.stage.shows(chosen.ruler, this.#state)) this.#rulers.chosen = null;
  }

  /** @param {number} slice @param {Error} error */
  #told(slice, error) {
    if (slice !== this.#state.slice) return;
    const text = `Slice ${slice + 1} couldn't be loaded: ${error.message}`;
    this.stage.tell(text);
    this.#say(text);
  }

  /** @param {string} text */
  #say(text) {
    clearTimeout(this.#saying);
    this.#saying = 0;
    this.live.textContent = text;
  }

  #saySlice() {
    clearTimeout(this.#saying);
    this.#saying = setTimeout(() => {
      if (this.#shown !== null) this.live.textContent = sentence(this.#shown.view, this.#state.slice);
    }, QUIET);
  }
}
