// @ts-check
/** Mouse, pen, fingers and wheel on the stage. */

/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./tools.js").Drag} Drag */
/** @typedef {{pan: boolean, touch: boolean}} How */

/** @typedef {import("./pane.js").Pane | import("./surface.js").Surface} Target */

/**
 * @typedef {object} Actions
 * @property {(target: EventTarget | null) => Target | null} targetAt
 * @property {(target: Target, point: Point, how: How) => Drag} begin
 * @property {(target: Target, point: Point, factor: number) => void} zoom
 * @property {(target: Target, steps: number) => void} scroll
 * @property {(target: Target) => boolean} wheelZooms
 * @property {(target: Target, point: Point) => void} hover
 * @property {() => void} leave
 */

const STILL = 4; // CSS pixels; a shorter drag is a click
const NOTCH = 50; // of a wheel, in CSS pixels
const LINE = 16;

export class Gestures {
  /** @type {Map<number, PointerEvent>} */
  #fingers = new Map();
  /** @type {{target: Target, drag: Drag, id: number, start: PointerEvent, moved: boolean} | null} */
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
    stage.addEventListener("pointerdown", (event) => this.#down(event), { signal });
    stage.addEventListener("pointermove", (event) => this.#move(event), { signal });
    stage.addEventListener("pointerup", (event) => this.#up(event), { signal });
    stage.addEventListener("pointercancel", (event) => this.#cancel(event), { signal });
    stage.addEventListener("pointerleave", (event) => this.#leave(event), { signal });
    stage.addEventListener("wheel", (event) => this.#wheel(event), { signal, passive: false });
  }

  /** @param {PointerEvent} event */
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

  /** @param {PointerEvent} event */
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

  /** @param {PointerEvent} event */
  #up(event) {
    const drag = this.#lifted(event);
    drag?.drag.end(drag.moved);
  }

  /** @param {PointerEvent} event */
  #cancel(event) {
    this.#lifted(event)?.drag.cancel();
  }

  /** The drag that ends with a pointer. @param {PointerEvent} event */
  #lifted({ pointerId }) {
    this.#fingers.delete(pointerId);
    const drag = this.#drag;
    if (drag === null || drag.id !== pointerId) return null;
    this.#drag = null;
    return drag;
  }

  /** A finger leaves whenever it is lifted; what it pointed at is still of interest. @param {PointerEvent} event */
  #leave(event) {
    if (event.pointerType !== "touch") this.actions.leave();
  }

  /**
   * Two fingers: what lies under them stays under them.
   *
   * @param {Target} target
   * @param {PointerEvent} before
   * @param {PointerEvent} event
   */
  #pinch(target, before, event) {
    const other = [...this.#fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    if (other === undefined) return;
    /** @param {PointerEvent} finger */
    const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
    /** @param {PointerEvent} finger */
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

  /** @param {WheelEvent} event */
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
