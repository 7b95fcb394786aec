// @ts-check
/** @import { Analysis, Scan } from "./types.js" */
import { ofTab } from "./storage.js";

const KEPT = "tumorlens.scans";

/**
 * The scans on this page, in the order they are listed, and which one is looked at.
 *
 * Dispatches `list` when scans come or go, `change` with a scan as detail, and `select`.
 */
export class Scans extends EventTarget {
  constructor() {
    super();
    /** @type {Scan[]} */
    this.list = [];
    /** @type {string | null} */
    this.selectedKey = null;
    this.count = 0;
  }

  /** @returns {Scan | null} */
  get selected() {
    return this.find(this.selectedKey);
  }

  /** @returns {Scan[]} Those that can be looked at. */
  get finished() {
    return this.list.filter((scan) => scan.state === "done");
  }

  /**
   * @param {string | null} key
   * @returns {Scan | null}
   */
  find(key) {
    return this.list.find((scan) => scan.key === key) ?? null;
  }

  /**
   * List a scan.
   *
   * @param {string} name
   * @param {{files?: File[] | null, analysis?: Analysis | null, after?: Scan}} [more] After which one it is
   *   listed; at the end by default.
   * @returns {Scan}
   */
  add(name, { files = null, analysis = null, after } = {}) {
    this.count += 1;
    /** @type {Scan} */
    const scan = {
      key: `scan-${this.count}`,
      name,
      files,
      state: "waiting",
      sent: 0,
      note: "",
      analysis: null,
      problem: null,
      ...(analysis && fromAnalysis(analysis)),
    };
    this.list.splice(after ? this.list.indexOf(after) + 1 : this.list.length, 0, scan);
    this.dispatchEvent(new Event("list"));
    this.keep();
    return scan;
  }

  /**
   * @param {Scan} scan
   * @param {Partial<Scan>} changes
   */
  update(scan, changes) {
    Object.assign(scan, changes);
    if (!this.list.includes(scan)) return; // removed meanwhile
    this.dispatchEvent(new CustomEvent("change", { detail: scan }));
    if (changes.analysis) this.keep();
  }

  /**
   * Take what the server says of a scan.
   *
   * @param {Scan} scan
   * @param {Analysis} analysis
   */
  learn(scan, analysis) {
    this.update(scan, fromAnalysis(analysis));
  }

  /**
   * @param {Scan} scan
   * @returns {Scan | null} The one now at its place, for the focus to go to.
   */
  remove(scan) {
    const place = this.list.indexOf(scan);
    if (place < 0) return null;
    this.list.splice(place, 1);
    const next = this.list[Math.min(place, this.list.length - 1)] ?? null;
    this.dispatchEvent(new Event("list"));
    if (this.selectedKey === scan.key) this.select(next);
    this.keep();
    return next;
  }

  /** @param {Scan | null} scan */
  select(scan) {
    if (this.selectedKey === (scan?.key ?? null)) return;
    this.selectedKey = scan?.key ?? null;
    this.dispatchEvent(new Event("select"));
    this.keep();
  }

  /** @param {number} step 1 for the next, -1 for the one before. */
  move(step) {
    const place = this.list.findIndex((scan) => scan.key === this.selectedKey) + step;
    const scan = this.list[place];
    if (scan) this.select(scan);
  }

  /** Remember this tab's scans, so that they are still here after a reload. */
  keep() {
    const known = this.list.filter((scan) => scan.analysis);
    const kept = known.map((scan) => ({ id: scan.analysis?.id, name: scan.name, selected: scan === this.selected }));
    ofTab.set(KEPT, JSON.stringify(kept));
  }

  /** @returns {{id: string, name: string, selected?: boolean}[]} What `keep` remembered. */
  kept() {
    try {
      const found = JSON.parse(ofTab.get(KEPT) ?? "[]");
      return Array.isArray(found) ? found.filter((each) => each && typeof each.id === "string") : [];
    } catch {
      return [];
    }
  }
}

/**
 * @param {Analysis} analysis
 * @returns {Partial<Scan>}
 */
function fromAnalysis(analysis) {
  return { analysis, state: analysis.status, problem: analysis.problem, sent: 1, note: "" };
}
