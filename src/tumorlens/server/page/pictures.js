// @ts-check
/** @import { View } from "./types.js" */
/** @import { Api } from "./api.js" */

/**
 * Views and key slices of analyses, each fetched once: the viewer and the thumbnail want the same.
 */
export class Pictures {
  /** @param {Api} api */
  constructor(api) {
    this.api = api;
    /** @type {Map<string, Promise<View>>} */
    this.views = new Map();
    /** @type {Map<string, Promise<ArrayBuffer>>} */
    this.keySlices = new Map();
  }

  /**
   * @param {string} id
   * @returns {Promise<View>}
   */
  view(id) {
    return remembered(this.views, id, () => this.api.view(id));
  }

  /**
   * What the viewer asks for slices. The bytes are shared: they are only read.
   *
   * @param {string} id
   * @param {View} view
   * @returns {(n: number, signal?: AbortSignal) => Promise<ArrayBuffer>}
   */
  layers(id, view) {
    return (n, signal) => (n === view.key_slice ? this.keySlice(id, n) : this.api.layers(id, n, signal));
  }

  /**
   * @param {string} id
   * @param {number} index Of the key slice.
   * @returns {Promise<ArrayBuffer>}
   */
  keySlice(id, index) {
    return remembered(this.keySlices, id, () => this.api.layers(id, index));
  }

  /**
   * Drop what is known of an analysis.
   *
   * @param {string} id
   */
  forget(id) {
    this.views.delete(id);
    this.keySlices.delete(id);
  }

  /**
   * Drop an analysis's key slice, which is large, once the thumbnail is drawn and the viewer has it.
   *
   * @param {string} id
   */
  release(id) {
    this.keySlices.delete(id);
  }
}

/**
 * @template T
 * @param {Map<string, Promise<T>>} kept
 * @param {string} key
 * @param {() => Promise<T>} fetched
 * @returns {Promise<T>} A failure isn't kept, so that it can be tried again.
 */
function remembered(kept, key, fetched) {
  let found = kept.get(key);
  if (!found) {
    found = fetched();
    kept.set(key, found);
    found.catch(() => kept.delete(key));
  }
  return found;
}
