// @ts-check
/** @import { Scan, View } from "./types.js" */
/** @import { Pictures } from "./pictures.js" */
/** @import { Viewer } from "./viewer/viewer.js" */

/** What of a viewer's state belongs to a scan; the rest, such as the tool, stays from scan to scan. */
const OF_SCAN = /** @type {const} */ (["slice", "cursor", "window", "layout", "zoom", "center"]);

/**
 * A viewer that shows one scan after the other and finds each as it was left.
 *
 * Its code is loaded when it is first needed.
 */
export class Surface {
  /**
   * @param {HTMLElement} target
   * @param {string} label What screen readers call it.
   * @param {Pictures} pictures
   */
  constructor(target, label, pictures) {
    this.target = target;
    this.label = label;
    this.pictures = pictures;
    /** @type {Viewer | null} */
    this.viewer = null;
    /** @type {View | null} */
    this.view = null;
    /** @type {string | null} The analysis shown. */
    this.id = null;
    /** @type {Map<string, Record<string, unknown>>} */
    this.left = new Map();
    /** @type {((event: Event) => void) | null} */
    this.onchange = null;
  }

  /**
   * Show a scan that is done.
   *
   * @param {Scan} scan
   * @returns {Promise<void>}
   */
  async show(scan) {
    const id = scan.analysis?.id;
    if (!id || id === this.id) return;
    this.leave();
    this.id = id;
    const [viewer, view] = await Promise.all([this.made(), this.pictures.view(id)]);
    if (this.id !== id) return; // another one was asked for meanwhile
    this.view = view;
    await viewer.show({ view, layers: this.pictures.layers(id, view) });
    const before = this.left.get(id);
    if (before && this.id === id) viewer.apply(before);
  }

  /** Show nothing. */
  clear() {
    this.leave();
    this.viewer?.clear();
  }

  /** Give up the viewer. */
  dispose() {
    this.leave();
    this.viewer?.dispose();
    this.viewer = null;
  }

  /** Remember how the scan is looked at. */
  leave() {
    if (this.id && this.viewer && this.view) {
      const state = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (this.viewer.state));
      this.left.set(this.id, Object.fromEntries(OF_SCAN.map((name) => [name, state[name]])));
    }
    this.id = null;
    this.view = null;
  }

  /** @returns {Promise<Viewer>} */
  async made() {
    const { Viewer: Kind } = await import("./viewer/viewer.js");
    if (!this.viewer) {
      this.viewer = new Kind(this.target, { label: this.label });
      this.viewer.addEventListener("change", (/** @type {Event} */ event) => this.onchange?.(event));
    }
    return this.viewer;
  }
}
