// @ts-check
/** Canvases and what draws on them. */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2DSettings} [settings]
 * @returns {CanvasRenderingContext2D}
 * @throws {Error} the browser gives none
 */
export function penOf(canvas, settings) {
  const context = canvas.getContext("2d", settings);
  if (context === null) throw new Error("This browser can't draw here. Close other pages and load this one again.");
  return context;
}

/**
 * A canvas that isn't on the page.
 *
 * @param {number} width
 * @param {number} height
 * @returns {HTMLCanvasElement}
 */
export function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}
