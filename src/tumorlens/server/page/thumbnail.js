// @ts-check
/** @import { View } from "./types.js" */

/** Pixels of a thumbnail's longer side. */
const SIDE = 128;

/**
 * Draw a slice small, with the tumor's outline.
 *
 * @param {HTMLCanvasElement} canvas Gets the slice's proportions.
 * @param {View} view
 * @param {ArrayBuffer} bytes Of `/view/slices/n`.
 * @param {string} color Of the outline, as CSS names it.
 */
export function drawThumbnail(canvas, view, bytes, color) {
  const [, rows, columns] = view.shape;
  const count = rows * columns;
  const [width, height] = proportions(view);
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) return;
  const whole = new OffscreenCanvas(columns, rows);
  whole.getContext("2d")?.putImageData(gray(new Uint16Array(bytes, 0, count), view), 0, 0);
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, width, height);
  context.fillStyle = color;
  const mask = new Uint8Array(bytes, 2 * count, count);
  for (const [x, y] of edge(mask, rows, columns, width, height)) context.fillRect(x, y, 1.5, 1.5);
}

/**
 * @param {View} view
 * @returns {[number, number]} Width and height with square pixels.
 */
function proportions(view) {
  const [, rows, columns] = view.shape;
  const width = columns * (view.spacing[2] ?? 1);
  const height = rows * (view.spacing[1] ?? 1);
  const scale = SIDE / Math.max(width, height);
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/**
 * @param {Uint16Array} pixels
 * @param {View} view
 * @returns {ImageData}
 */
function gray(pixels, view) {
  const [, rows, columns] = view.shape;
  const { low, high } = view.window;
  const scale = (256 * view.slope) / Math.max(high - low, Number.MIN_VALUE);
  const shift = ((view.intercept - low) * 256) / Math.max(high - low, Number.MIN_VALUE);
  const image = new ImageData(columns, rows);
  const words = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i += 1) {
    const value = Math.min(255, Math.max(0, pixels[i] * scale + shift)) | 0;
    words[i] = 0xff000000 | (value << 16) | (value << 8) | value;
  }
  return image;
}

/**
 * The small picture's pixels on the tumor's edge.
 *
 * @param {Uint8Array} mask
 * @param {number} rows
 * @param {number} columns
 * @param {number} width
 * @param {number} height
 * @returns {[number, number][]}
 */
export function edge(mask, rows, columns, width, height) {
  const inside = (/** @type {number} */ x, /** @type {number} */ y) => {
    if (x < 0 || y < 0 || x >= width || y >= height) return false;
    const row = Math.floor(((y + 0.5) * rows) / height);
    return mask[row * columns + Math.floor(((x + 0.5) * columns) / width)] > 0;
  };
  /** @type {[number, number][]} */
  const found = [];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (!inside(x, y)) continue;
      if (!(inside(x - 1, y) && inside(x + 1, y) && inside(x, y - 1) && inside(x, y + 1))) found.push([x, y]);
    }
  }
  return found;
}
