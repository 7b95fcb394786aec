// @ts-check
/** Rulers that a person has laid on slices: their ends, their lengths, which one is chosen. */

import { distance } from "./geometry.js";

/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./planes.js").Plane} Plane */
/** @typedef {"from" | "to"} End */
/** @typedef {{number: number, plane: Plane, index: number, from: Point, to: Point}} Ruler ends in image coordinates */

export class Rulers {
  /** @type {Ruler[]} */
  #all = [];
  #count = 0;
  /** @type {{ruler: Ruler, end: End} | null} */
  chosen = null;

  /**
   * The rulers on one plane.
   *
   * @param {Plane} plane
   * @param {number} index
   * @returns {Ruler[]}
   */
  on(plane, index) {
    return this.#all.filter((ruler) => ruler.plane === plane && ruler.index === index);
  }

  /**
   * Lay a new one; its second end is chosen.
   *
   * @param {Plane} plane
   * @param {number} index
   * @param {Point} from
   * @param {Point} to
   * @returns {Ruler}
   */
  add(plane, index, from, to) {
    this.#count += 1;
    const ruler = { number: this.#count, plane, index, from, to };
    this.#all.push(ruler);
    this.chosen = { ruler, end: "to" };
    return ruler;
  }

  /** @param {Ruler} ruler */
  remove(ruler) {
    this.#all = this.#all.filter((other) => other !== ruler);
    if (this.chosen?.ruler === ruler) this.chosen = null;
  }

  /**
   * The ruler under a point of the screen, and which end of it if any.
   *
   * @param {Ruler[]} rulers
   * @param {import("./geometry.js").Placement} placement
   * @param {Point} point on the screen
   * @param {number} reach in screen pixels
   * @returns {{ruler: Ruler, end: End | null} | null}
   */
  static under(rulers, placement, point, reach) {
    const latestFirst = [...rulers].reverse();
    for (const ruler of latestFirst) {
      for (const end of /** @type {End[]} */ (["to", "from"])) {
        const at = placement.toScreen(ruler[end]);
        if (Math.hypot(at.x - point.x, at.y - point.y) <= reach) return { ruler, end };
      }
    }
    /** @param {Ruler} ruler */
    const near = ({ from, to }) => awayFrom(placement.toScreen(from), placement.toScreen(to), point) <= reach / 2;
    const ruler = latestFirst.find(near);
    return ruler === undefined ? null : { ruler, end: null };
  }
}

/**
 * A ruler's length as it is written.
 *
 * @param {Ruler} ruler
 * @returns {string}
 */
export function lengthOf({ plane, from, to }) {
  const length = distance(plane, from, to);
  return plane.measured ? `${length.toFixed(1)} mm` : `${Math.round(length)} px`;
}

/**
 * The same to be read out.
 *
 * @param {Ruler} ruler
 * @returns {string}
 */
export function spoken(ruler) {
  const length = distance(ruler.plane, ruler.from, ruler.to);
  const text = ruler.plane.measured
    ? `${length.toFixed(1)} millimeters`
    : `${Math.round(length)} pixels, the spacing is unknown`;
  return `Ruler ${ruler.number}: ${text}`;
}

/** How far a point is from a stretch. @param {Point} from @param {Point} to @param {Point} point */
function awayFrom(from, to, point) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const along = ((point.x - from.x) * dx + (point.y - from.y) * dy) / (dx * dx + dy * dy || 1);
  const share = Math.min(Math.max(along, 0), 1);
  return Math.hypot(from.x + share * dx - point.x, from.y + share * dy - point.y);
}
