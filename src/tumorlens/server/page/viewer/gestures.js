/** Mouse, pen, fingers and wheel on the stage. */

/** @typedef {import("./types.js").Point} Point */

/**
 * @typedef {object} Target a pane or the surface
 * @property {HTMLCanvasElement} canvas
 * @property {number} ratio
 * @property {(event: {clientX: number, clientY: number}) => Point} pointOf
 *
 * @typedef {object} Actions
 * @property {(target: EventTarget | null) => Target | null} targetAt
 * @property {(target: Target, point: Point, how: {pan: boolean, touch: boolean}) => import("./tools.js").Drag} begin
 * @property {(target: Target, point: Point, factor: number) => void} zoom
 * @property {(target: Target, steps: number) => void} scroll
 * @property {(target: Target) => boolean} wheelZooms
 * @property {(target: Target, point: Point | null) => void} hover
 */

const STILL = 4; // CSS pixels; a shorter drag is a click
const NOTCH = 50; // of a wheel, in CSS pixels
const LINE = 16;

export class Gestures {
  /** @type {Map<number, PointerEvent>} */
  #fingers = new Map();
  /** @type {{target: Target, drag: import("./tools.js").Drag, id: number, start: PointerEvent, moved: boolean} | null} */
  #drag = null;
  #rolled = 0;
  /** Whether the space bar is held: then every drag pans. */
  panning = false;

  /**
   * @param {HTMLElement} stage
   * @param {Actions} actions
   * @param {AbortSignal} signal ends listening
   */
  constructor(stage, actions, signal) {
    this.actions = actions;
    const on = (name, act, options = {}) => stage.addEventListener(name, act, { signal, ...options });
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", (event) => this.#cancel(event));
    on("pointerleave", (event) => this.#leave(event));
    on("wheel", (event) => this.#wheel(event), { passive: false });
  }

  #down(event) {
    const target = this.actions.targetAt(event.target);
    if (target === null || event.button > 1) return;
    if (event.button === 1) event.preventDefault(); // no scrolling by the middle button
    target.canvas.setPointerCapture(event.pointerId);
    this.#fingers.set(event.pointerId, event);
    if (this.#fingers.size > 1) {
      this.#drag?.drag.cancel();
      this.#drag = null;
      return;
    }
    const how = { pan: this.panning || event.button === 1, touch: event.pointerType === "touch" };
    const drag = this.actions.begin(target, target.pointOf(event), how);
    this.#drag = { target, drag, id: event.pointerId, start: event, moved: false };
  }

  #move(event) {
    const before = this.#fingers.get(event.pointerId);
    const target = this.actions.targetAt(event.target);
    if (target !== null) this.actions.hover(target, target.pointOf(event));
    if (before === undefined) return;
    if (this.#fingers.size === 2 && target !== null) this.#pinch(target, before, event);
    this.#fingers.set(event.pointerId, event);
    const drag = this.#drag;
    if (drag === null || drag.id !== event.pointerId) return;
    drag.moved ||= Math.hypot(event.clientX - drag.start.clientX, event.clientY - drag.start.clientY) >= STILL;
    if (drag.moved) drag.drag.move(drag.target.pointOf(event));
  }

  #up(event) {
    this.#fingers.delete(event.pointerId);
    if (this.#drag?.id !== event.pointerId) return;
    this.#drag.drag.end(this.#drag.moved);
    this.#drag = null;
  }

  #cancel(event) {
    this.#fingers.delete(event.pointerId);
    if (this.#drag?.id !== event.pointerId) return;
    this.#drag.drag.cancel();
    this.#drag = null;
  }

  #leave(event) {
    const target = this.actions.targetAt(event.target);
    if (target !== null) this.actions.hover(target, null);
  }

  /** Two fingers: what lies under them stays under them. */
  #pinch(target, before, event) {
    const other = [...this.#fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
    const between = (finger) =>
      target.pointOf({
        clientX: (finger.clientX + other.clientX) / 2,
        clientY: (finger.clientY + other.clientY) / 2,
      });
    const pan = this.actions.begin(target, between(before), { pan: true, touch: true });
    pan.move(between(event));
    pan.end(true);
    if (apart(before) > 0) this.actions.zoom(target, between(event), apart(event) / apart(before));
  }

  #wheel(event) {
    const target = this.actions.targetAt(event.target);
    if (target === null) return;
    event.preventDefault();
    const delta = event.deltaY * [1, LINE, 8 * NOTCH][event.deltaMode];
    if (event.ctrlKey || event.metaKey || this.actions.wheelZooms(target)) {
      // A wheel's notch is a fixed step; the fine steps of a touchpad add up.
      const factor = Math.abs(delta) >= NOTCH ? 1.2 ** -Math.sign(delta) : Math.exp(-delta / 100);
      this.actions.zoom(target, target.pointOf(event), factor);
      return;
    }
    this.#rolled = Math.sign(delta) === Math.sign(this.#rolled) ? this.#rolled + delta : delta;
    if (Math.abs(this.#rolled) < NOTCH) return;
    this.actions.scroll(target, Math.sign(this.#rolled));
    this.#rolled = 0;
  }
}
