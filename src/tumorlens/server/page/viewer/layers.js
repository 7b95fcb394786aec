// @ts-check
/** What the server sends of one slice, and sections through the slices that are loaded. */

/** @typedef {import("./types.js").Section} Section */
/** @typedef {import("./planes.js").Plane} Plane */
/** @typedef {{length: number, to: number, step: number, from: number, fromStep: number}} Line */

const LAYERS = /** @type {const} */ (["mask", "heat", "probability"]);
const BYTES = 5; // a pixel: 2 of the picture, 1 each of mask, heat and probability

/** Probabilities (of 255) that leave it open whether a pixel belongs to the tumor: 0.25 to 0.75. */
export const UNCERTAIN = { from: 64, to: 191 };

/**
 * Take a slice's bytes apart. Layers without content are dropped: most slices of a volume have none.
 *
 * @param {ArrayBuffer} buffer pixels (uint16), mask, heat, probability (uint8), one after the other
 * @param {number} columns
 * @param {number} rows
 * @returns {Section}
 * @throws {RangeError} another number of bytes
 */
export function sectionFrom(buffer, columns, rows) {
  const count = columns * rows;
  if (buffer.byteLength !== BYTES * count) {
    throw new RangeError(`Expected ${BYTES * count} bytes of a slice, got ${buffer.byteLength}. Load it again.`);
  }
  /** @param {number} index */
  const layer = (index) => new Uint8Array(buffer, (index + 1) * count, count);
  return {
    columns,
    rows,
    pixels: new Uint16Array(buffer.slice(0, 2 * count)),
    mask: keptIf(layer(1), (value) => value !== 0),
    heat: keptIf(layer(2), (value) => value !== 0),
    probability: keptIf(layer(3), isUncertain),
    present: null,
  };
}

/** @param {number} value 0 to 255 */
export function isUncertain(value) {
  return value >= UNCERTAIN.from && value <= UNCERTAIN.to;
}

/**
 * A plane's picture out of the slices that are loaded; what isn't loaded is marked as not present.
 *
 * @param {Plane} plane not the scan's own
 * @param {number} index where the plane lies: a row or column
 * @param {(n: number) => Section | undefined} sliceAt
 * @param {number} slices
 * @returns {Section}
 */
export function sectionThrough(plane, index, sliceAt, slices) {
  const { columns, rows } = plane;
  const count = columns * rows;
  const pixels = new Uint16Array(count);
  /** @type {Record<typeof LAYERS[number], Uint8Array | null>} */
  const layers = { mask: null, heat: null, probability: null };
  const present = new Uint8Array(count);
  let missing = false;
  for (let slice = 0; slice < slices; slice += 1) {
    const source = sliceAt(slice);
    if (source === undefined) {
      missing = true;
      continue;
    }
    const line = lineOf(plane, index, slice, source);
    copyLine(present, line, null);
    copyLine(pixels, line, source.pixels);
    for (const name of LAYERS) {
      const layer = source[name];
      if (layer === null) continue;
      const target = layers[name] ?? new Uint8Array(count);
      layers[name] = target;
      copyLine(target, line, layer);
    }
  }
  return { columns, rows, pixels, ...layers, present: missing ? present : null };
}

/**
 * Where one slice's line begins and how it steps, in the section and in the slice.
 *
 * @param {Plane} plane
 * @param {number} index
 * @param {number} slice
 * @param {Section} source
 * @returns {Line}
 */
function lineOf(plane, index, slice, source) {
  const along = plane.right.axis === 0 ? plane.down : plane.right;
  const over = plane.right.axis === 0 ? plane.right : plane.down;
  const length = plane.right.axis === 0 ? plane.rows : plane.columns;
  const place = over.flipped ? (plane.right.axis === 0 ? plane.columns : plane.rows) - 1 - slice : slice;
  const [overStep, step] = plane.right.axis === 0 ? [1, plane.columns] : [plane.columns, 1];
  const [from, fromStep] =
    plane.normal === 1 ? [index * source.columns, 1] : [index, source.columns];
  return {
    length,
    to: place * overStep,
    step,
    from: along.flipped ? from + (length - 1) * fromStep : from,
    fromStep: along.flipped ? -fromStep : fromStep,
  };
}

/**
 * @param {Uint8Array | Uint16Array} target
 * @param {Line} line
 * @param {Uint8Array | Uint16Array | null} source null for ones
 */
function copyLine(target, { length, to, step, from, fromStep }, source) {
  for (let i = 0; i < length; i += 1) target[to + i * step] = source === null ? 1 : source[from + i * fromStep];
}

/**
 * @param {Uint8Array} layer
 * @param {(value: number) => boolean} counts
 * @returns {Uint8Array | null} a copy; null where nothing counts
 */
function keptIf(layer, counts) {
  for (let i = 0; i < layer.length; i += 1) {
    if (counts(layer[i])) return layer.slice();
  }
  return null;
}
