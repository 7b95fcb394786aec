// @ts-check
/** @import { Scan } from "./types.js" */
/** @import { Pictures } from "./pictures.js" */
/** @import { Scans } from "./scans.js" */
/** @import { Work } from "./work.js" */
import { element, setText } from "./element.js";
import { percent, sentence } from "./format.js";
import { icon } from "./icons.js";
import { drawThumbnail } from "./thumbnail.js";
import { isFinal, STATES, typeIsDoubtful } from "./wording.js";

/**
 * @typedef {object} Card
 * @property {HTMLLIElement} item
 * @property {HTMLButtonElement} open
 * @property {HTMLCanvasElement} picture
 * @property {HTMLElement} state
 * @property {HTMLProgressElement} bar
 */

/** The list of scans. A card changes in place, so that the focus stays where it is. */
export class List {
  /**
   * @param {HTMLOListElement} target
   * @param {{scans: Scans, work: Work, pictures: Pictures, emptied: () => void}} parts `emptied` is called
   *   after the last scan was removed, for the focus to go somewhere.
   */
  constructor(target, { scans, work, pictures, emptied }) {
    this.target = target;
    this.scans = scans;
    this.work = work;
    this.pictures = pictures;
    this.emptied = emptied;
    /** @type {Map<string, Card>} */
    this.cards = new Map();
    /** @type {Set<string>} Analyses whose thumbnail is drawn. */
    this.drawn = new Set();
    scans.addEventListener("list", () => this.arrange());
    scans.addEventListener("select", () => this.mark());
    scans.addEventListener("change", (event) => this.refresh(/** @type {CustomEvent<Scan>} */ (event).detail));
  }

  /** Bring the cards into the scans' order. */
  arrange() {
    const items = this.scans.list.map((scan) => {
      const card = this.cards.get(scan.key) ?? this.make(scan);
      return card.item;
    });
    for (const [key, card] of this.cards) {
      if (!this.scans.find(key)) {
        card.item.remove();
        this.cards.delete(key);
      }
    }
    items.forEach((item, index) => {
      if (this.target.children[index] !== item) this.target.insertBefore(item, this.target.children[index] ?? null);
    });
    this.mark();
  }

  /** Show which scan is looked at. */
  mark() {
    for (const [key, card] of this.cards) {
      if (key === this.scans.selectedKey) card.open.setAttribute("aria-current", "true");
      else card.open.removeAttribute("aria-current");
    }
    const card = this.cards.get(this.scans.selectedKey ?? "");
    card?.item.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /**
   * @param {Scan} scan
   * @returns {Card}
   */
  make(scan) {
    const picture = element("canvas", { class: "thumbnail", width: 1, height: 1 });
    const state = element("span", { class: "card-state" });
    const bar = element("progress", { class: "card-bar", max: 1, "aria-label": `Progress of ${scan.name}` });
    const name = element("span", { class: "card-name", title: scan.name }, scan.name);
    const frame = element("span", { class: "card-picture", "aria-hidden": "true" }, picture);
    const words = element("span", { class: "card-words" }, name, state);
    const select = () => this.scans.select(scan);
    const open = element("button", { type: "button", class: "card-open", onclick: select }, frame, words);
    const remove = element(
      "button",
      {
        type: "button",
        class: "quiet card-remove",
        "aria-label": `Remove ${scan.name}`,
        title: "Remove, and erase it from the server",
        onclick: () => this.remove(scan),
      },
      icon("close"),
    );
    const card = { item: element("li", { class: "card" }, open, remove, bar), open, picture, state, bar };
    this.cards.set(scan.key, card);
    this.refresh(scan);
    return card;
  }

  /** @param {Scan} scan */
  refresh(scan) {
    const card = this.cards.get(scan.key);
    if (!card) return;
    setText(card.state, summary(scan));
    card.item.dataset.state = scan.state;
    const share = shareDone(scan);
    card.bar.hidden = scan.state === "waiting" || isFinal(scan.state);
    if (share === null) card.bar.removeAttribute("value");
    else card.bar.value = share;
    if (scan.state === "done" && scan.analysis && !this.drawn.has(scan.analysis.id)) void this.draw(scan, card);
  }

  /**
   * @param {Scan} scan
   * @param {Card} card
   */
  async draw(scan, card) {
    const id = scan.analysis?.id ?? "";
    this.drawn.add(id);
    try {
      const view = await this.pictures.view(id);
      const bytes = await this.pictures.keySlice(id, view.key_slice);
      const color = getComputedStyle(card.item).getPropertyValue("--outline");
      requestAnimationFrame(() => {
        drawThumbnail(card.picture, view, bytes, color);
        setTimeout(() => this.pictures.release(id), 5000);
      });
    } catch {
      this.drawn.delete(id); // it stays without a picture until something changes
    }
  }

  /** @param {Scan} scan */
  remove(scan) {
    const next = this.work.remove(scan);
    if (next) this.focus(next);
    else this.emptied();
  }

  /**
   * Put the focus on a scan's card.
   *
   * @param {Scan} scan
   */
  focus(scan) {
    this.cards.get(scan.key)?.open.focus();
  }
}

/**
 * A card's line below the name.
 *
 * @param {Scan} scan
 * @returns {string}
 */
export function summary(scan) {
  const result = scan.analysis?.result;
  if (scan.state !== "done" || !result) return progressText(scan);
  const type = result.tumor_type;
  if (result.tumor_pixels === 0) return "Nothing outlined";
  if (typeIsDoubtful(result)) return "Doubtful, see warnings";
  if (!type) return "Outlined";
  const share = result.probabilities?.[type];
  const warned = result.warnings.length ? ", see warning" : "";
  return `${sentence(type)}${share === undefined ? "" : ` ${percent(share)}`}${warned}`;
}

/**
 * @param {Scan} scan
 * @returns {string}
 */
export function progressText(scan) {
  if (scan.note) return scan.note;
  if (scan.state === "sending") return scan.sent < 1 ? `Sending ${Math.floor(scan.sent * 100)}%` : "Analysing";
  const { done, total } = scan.analysis?.progress ?? { done: 0, total: 0 };
  if (scan.state === "running" && total > 1) return `Analysing, ${done} of ${total} slices`;
  return STATES[scan.state];
}

/**
 * @param {Scan} scan
 * @returns {number | null} 0 to 1; null where it isn't known.
 */
export function shareDone(scan) {
  if (scan.state === "sending") return scan.sent < 1 ? scan.sent : null;
  const { done, total } = scan.analysis?.progress ?? { done: 0, total: 0 };
  return scan.state === "running" && total > 0 ? done / total : null;
}
