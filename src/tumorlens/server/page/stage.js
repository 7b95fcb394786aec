// @ts-check
/** @import { Analysis, Result, Scan } from "./types.js" */
/** @import { Scans } from "./scans.js" */
/** @import { Surface } from "./surface.js" */
/** @import { Work } from "./work.js" */
import { element, fill, setText } from "./element.js";
import { icon } from "./icons.js";
import { progressText, shareDone } from "./list.js";
import { showResult } from "./result.js";
import { seriesPart } from "./series.js";
import { isFinal, remedy, STATES, toldBy } from "./wording.js";

/**
 * The scan looked at: its pictures and its result, its progress, or what went wrong.
 */
export class Stage {
  /**
   * @param {object} parts
   * @param {HTMLElement} parts.picture Where the viewer is.
   * @param {HTMLElement} parts.message In its place while there is nothing to see.
   * @param {HTMLElement} parts.result
   * @param {Scans} parts.scans
   * @param {Work} parts.work
   * @param {Surface} parts.surface
   * @param {(sentence: string) => void} parts.say To screen readers alone.
   * @param {(sentence: string) => void} parts.tell To everybody.
   * @param {(scan: Scan) => void} parts.remove Take a scan off the page.
   * @param {(scan: Scan) => void} parts.reopen Choose a scan's files again.
   */
  constructor({ picture, message, result, scans, work, surface, say, tell, remove, reopen }) {
    this.picture = picture;
    this.message = message;
    this.result = result;
    this.scans = scans;
    this.work = work;
    this.surface = surface;
    this.say = say;
    this.tell = tell;
    this.remove = remove;
    this.reopen = reopen;
    /** @type {string} What is shown, so that only progress is drawn anew while that stays. */
    this.shown = "";
    /** @type {((scan: Scan) => void) | null} */
    this.progress = null;
    scans.addEventListener("select", () => this.refresh());
    scans.addEventListener("change", (event) => {
      if (/** @type {CustomEvent<Scan>} */ (event).detail === scans.selected) this.refresh();
    });
  }

  /** Show the selected scan as it is now. */
  refresh() {
    const scan = this.scans.selected;
    if (!scan) {
      this.shown = "";
      this.surface.clear();
      return;
    }
    const phase = isFinal(scan.state) ? scan.state : "underway";
    const now = `${scan.key} ${phase} ${phase === "underway" ? "" : scan.analysis?.id}`;
    if (now === this.shown) {
      this.progress?.(scan);
      return;
    }
    this.shown = now;
    this.progress = null;
    const held = this.message.contains(document.activeElement);
    this.show(scan, phase);
    if (held) this.keepFocus();
  }

  /**
   * @param {Scan} scan
   * @param {string} phase
   */
  show(scan, phase) {
    if (scan.state === "done" && scan.analysis?.result) {
      this.showDone(/** @type {Scan & {analysis: Analysis & {result: Result}}} */ (scan));
    } else {
      this.surface.clear();
      this.swap(false);
      if (phase === "underway") this.showProgress(scan);
      else this.showProblem(scan);
    }
  }

  /** Put the focus near to where it was: what had it is gone. */
  keepFocus() {
    const near = this.message.hidden ? null : this.message.querySelector("button");
    const target = near ?? /** @type {HTMLElement | null} */ (document.querySelector(".card-open[aria-current]"));
    target?.focus();
  }

  /** @param {boolean} picture Whether there is one. */
  swap(picture) {
    this.picture.hidden = !picture;
    this.message.hidden = picture;
    this.result.hidden = !picture;
  }

  /** @param {Scan & {analysis: Analysis & {result: Result}}} scan */
  showDone(scan) {
    this.swap(true);
    showResult(this.result, scan, this.work, this);
    this.result.scrollTop = 0;
    this.surface.show(scan).catch((error) => {
      if (this.scans.selected !== scan) return;
      this.shown = "";
      this.tell(`The pictures could not be loaded. ${error instanceof Error ? error.message : ""}`);
    });
  }

  /** @param {Scan} scan */
  showProgress(scan) {
    const text = element("p", { class: "progress-text" });
    const bar = element("progress", { max: 1, "aria-label": "Progress" });
    const stop = () => this.work.cancel(scan);
    const cancel = element("button", { type: "button", class: "button", onclick: stop }, "Cancel");
    fill(this.message, element("div", { class: "waiting" }, element("h2", {}, scan.name), text, bar, cancel));
    this.progress = (each) => {
      setText(text, progressText(each));
      const share = shareDone(each);
      if (share === null) bar.removeAttribute("value");
      else bar.value = share;
    };
    this.progress(scan);
  }

  /** @param {Scan} scan */
  showProblem(scan) {
    const { problem, state } = scan;
    const again = () => (scan.files ? this.work.start(scan) : this.reopen(scan));
    const label = scan.files ? "Try again" : "Choose it again";
    const remove = () => this.remove(scan);
    fill(
      this.message,
      element(
        "div",
        { class: "problem" },
        element("h2", {}, icon("warning"), `${STATES[state]}: ${scan.name}`),
        problem ? element("p", { class: "problem-detail" }, toldBy(problem.detail)) : null,
        element("p", {}, remedy(problem, state)),
        element(
          "p",
          { class: "buttons" },
          element("button", { type: "button", class: "button main", onclick: again }, label),
          element("button", { type: "button", class: "button", onclick: remove }, "Remove"),
        ),
        seriesPart(scan, null, this.work, this.tell),
      ),
    );
  }
}
