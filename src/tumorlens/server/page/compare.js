// @ts-check
/** @import { Scan } from "./types.js" */
/** @import { Look } from "./link.js" */
/** @import { Pictures } from "./pictures.js" */
/** @import { Scans } from "./scans.js" */
import { element, fill } from "./element.js";
import { percent, sentence } from "./format.js";
import { carriedOver } from "./link.js";
import { measurements } from "./numbers.js";
import { Surface } from "./surface.js";
import { typeIsDoubtful } from "./wording.js";

/** @typedef {"left" | "right"} Side */

/** Two scans side by side, each with its type and numbers above. */
export class Compare {
  /**
   * @param {HTMLElement} target
   * @param {{scans: Scans, pictures: Pictures, close: () => void}} parts
   */
  constructor(target, { scans, pictures, close }) {
    this.scans = scans;
    this.link = element("input", { type: "checkbox", id: "link-viewers", checked: true });
    this.panes = { left: new Pane("Left", pictures), right: new Pane("Right", pictures) };
    this.panes.left.other = this.panes.right;
    this.panes.right.other = this.panes.left;
    fill(
      target,
      element(
        "header",
        { class: "compare-head" },
        element("h2", { id: "compare-title", tabindex: -1 }, "Compare"),
        element("label", { class: "check" }, this.link, "Link slice, window and zoom"),
        element("button", { type: "button", class: "button", onclick: close }, "Close"),
      ),
      this.panes.left.element,
      this.panes.right.element,
    );
    for (const pane of Object.values(this.panes)) {
      pane.choice.addEventListener("change", () => pane.show(this.scans.find(pane.choice.value)));
      pane.surface.onchange = (event) => this.follow(pane, /** @type {CustomEvent<Look>} */ (event).detail);
    }
    this.listen = () => this.refresh();
    scans.addEventListener("list", this.listen);
    scans.addEventListener("change", this.listen);
  }

  /**
   * @param {Scan} left
   * @param {Scan} right
   */
  open(left, right) {
    this.panes.left.scan = left;
    this.panes.right.scan = right;
    this.refresh();
  }

  /** Bring the menus up to date, and the panes whose scan is gone. */
  refresh() {
    const finished = this.scans.finished;
    for (const pane of Object.values(this.panes)) {
      if (!pane.scan || !finished.includes(pane.scan)) {
        pane.scan = finished.find((scan) => scan !== pane.other?.scan) ?? finished[0] ?? null;
      }
      pane.offer(finished);
      pane.show(pane.scan);
    }
  }

  /**
   * Let the other viewer follow.
   *
   * @param {Pane} pane Where a person changed something.
   * @param {Look} look
   */
  follow(pane, look) {
    const other = pane.other;
    if (!this.link.checked || !pane.surface.view || !other?.surface.view || !other.surface.viewer) return;
    other.surface.viewer.apply(carriedOver(look, pane.surface.view, other.surface.view));
  }

  dispose() {
    this.scans.removeEventListener("list", this.listen);
    this.scans.removeEventListener("change", this.listen);
    for (const pane of Object.values(this.panes)) pane.surface.dispose();
  }
}

/** One of the two. */
class Pane {
  /**
   * @param {string} side
   * @param {Pictures} pictures
   */
  constructor(side, pictures) {
    this.choice = element("select", { class: "field", "aria-label": `${side} scan` });
    this.numbers = element("div", { class: "pane-numbers" });
    const picture = element("div", { class: "picture" });
    const head = element("header", { class: "pane-head" }, this.choice, this.numbers);
    this.element = element("section", { class: "pane", "aria-label": `${side} scan` }, head, picture);
    this.surface = new Surface(picture, `${side} scan`, pictures);
    /** @type {Scan | null} */
    this.scan = null;
    /** @type {Pane | null} */
    this.other = null;
    /** @type {string | undefined} */
    this.told = undefined;
  }

  /** @param {Scan[]} finished */
  offer(finished) {
    const wanted = finished.map((scan) => scan.key).join(" ");
    if (this.choice.dataset.offered === wanted) return;
    this.choice.dataset.offered = wanted;
    fill(this.choice, ...finished.map((scan) => element("option", { value: scan.key }, scan.name)));
  }

  /** @param {Scan | null} scan */
  show(scan) {
    this.scan = scan;
    if (!scan?.analysis?.result) return;
    this.choice.value = scan.key;
    if (this.told === scan.analysis.id) return;
    this.told = scan.analysis.id;
    fill(this.numbers, ...numbersOf(scan));
    this.surface.show(scan).catch(() => {
      this.told = undefined; // the next change tries again
    });
  }
}

/**
 * A scan's type and numbers in short.
 *
 * @param {Scan} scan
 * @returns {HTMLElement[]}
 */
function numbersOf(scan) {
  const result = scan.analysis?.result;
  if (!result) return [];
  const type = result.tumor_type;
  const share = type ? result.probabilities?.[type] : undefined;
  const doubtful = typeIsDoubtful(result) ? "type doubtful" : "type";
  const facts = measurements(result).map(({ name, value }) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value)),
  );
  const sure = result.confidence ? `, ${result.confidence.word} confidence` : "";
  const shareText = share === undefined ? null : element("span", { class: "share" }, ` ${percent(share)}${sure}`);
  const heed = result.warnings.map((each) => each.message).join("; ");
  return [
    element("p", { class: doubtful }, type ? sentence(type) : "Not named", shareText),
    ...(heed ? [element("p", { class: "heed" }, `Warning: ${heed}.`)] : []),
    element("dl", {}, ...facts),
  ];
}
