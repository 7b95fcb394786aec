// @ts-check
/** Where a plane's picture lies on the screen. */

/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./types.js").Size} Size */
/** @typedef {import("./planes.js").Plane} Plane */

export const ZOOM = { least: 0.5, most: 40 };

/** Brings a picture's points (in columns and rows) to the screen and back. */
export class Placement {
  /** @param {{scaleX: number, scaleY: number, left: number, top: number}} parts in screen pixels */
  constructor({ scaleX, scaleY, left, top }) {
    this.scaleX = scaleX;
    this.scaleY = scaleY;
    this.left = left;
    this.top = top;
  }

  /** @param {Point} point @returns {Point} */
  toScreen({ x, y }) {
    return { x: this.left + x * this.scaleX, y: this.top + y * this.scaleY };
  }

  /** @param {Point} point @returns {Point} */
  toPicture({ x, y }) {
    return { x: (x - this.left) / this.scaleX, y: (y - this.top) / this.scaleY };
  }
}

/**
 * A plane's placement: true proportions, whole at zoom 1.
 *
 * @param {Plane} plane
 * @param {Size} size of the canvas
 * @param {number} zoom
 * @param {Point} middle the picture's point in the middle of the canvas
 * @returns {Placement}
 */
export function place(plane, size, zoom, middle) {
  const scale = zoom * fit(plane, size);
  const scaleX = scale * plane.width;
  const scaleY = scale * plane.height;
  return new Placement({
    scaleX,
    scaleY,
    left: size.width / 2 - middle.x * scaleX,
    top: size.height / 2 - middle.y * scaleY,
  });
}

/**
 * The middle that keeps a point of the picture where it is on the screen while the zoom changes.
 *
 * @param {Point} middle
 * @param {Point} fixed
 * @param {number} ratio new zoom / old zoom
 * @returns {Point}
 */
export function middleAround(middle, fixed, ratio) {
  return { x: fixed.x + (middle.x - fixed.x) / ratio, y: fixed.y + (middle.y - fixed.y) / ratio };
}

/**
 * The distance between two points of a plane's picture, in mm where the plane is measured, else in pixels.
 *
 * @param {Plane} plane
 * @param {Point} from
 * @param {Point} to
 * @returns {number}
 */
export function distance(plane, from, to) {
  const [width, height] = plane.measured ? [plane.width, plane.height] : [1, 1];
  return Math.hypot((to.x - from.x) * width, (to.y - from.y) * height);
}

/**
 * Screen pixels a millimetre with the whole picture on the canvas.
 *
 * @param {Plane} plane
 * @param {Size} size
 */
function fit(plane, size) {
  return Math.min(size.width / (plane.columns * plane.width), size.height / (plane.rows * plane.height));
}
