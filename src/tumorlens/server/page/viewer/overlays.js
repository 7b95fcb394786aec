// @ts-check
/** What was found, drawn over a slice at the screen's own resolution: outline, fill, uncertain band. */

import { canvasOf, penOf } from "./canvas.js";
import { loopsAround, pathOf } from "./contour.js";
import { isUncertain } from "./layers.js";

/** @typedef {import("./types.js").Section} Section */
/** @typedef {import("./geometry.js").Placement} Placement */
/** @typedef {import("./marks.js").Paper} Paper */

/**
 * Paths in image coordinates, kept as long as their section is.
 *
 * @type {WeakMap<Section, {outline?: Path2D | null, band?: Path2D | null}>}
 */
const paths = new WeakMap();

/**
 * @param {Paper} paper
 * @param {Section} section
 * @param {Placement} placement
 * @param {import("./types.js").State} state
 * @param {import("./colors.js").Colors} colors
 */
export function drawOverlays(paper, section, placement, state, colors) {
  const { context } = paper;
  const band = state.uncertain ? bandOf(section) : null;
  if (band !== null) {
    context.fillStyle = hatching(paper, colors.uncertain);
    context.fill(placed(band, placement), "evenodd");
  }
  const outline = state.outline || state.fill > 0 ? outlineOf(section) : null;
  if (outline === null) return;
  const path = placed(outline, placement);
  if (state.fill > 0) fill(context, path, colors.outline, state.fill);
  if (state.outline) stroke(paper, path, colors.outline);
}

/** @param {CanvasRenderingContext2D} context @param {Path2D} path @param {string} color @param {number} opacity */
function fill(context, path, color, opacity) {
  context.globalAlpha = opacity;
  context.fillStyle = color;
  context.fill(path, "evenodd");
  context.globalAlpha = 1;
}

/**
 * A line of constant width on the screen, with a dark rim that sets it off from bright tissue.
 *
 * @param {Paper} paper
 * @param {Path2D} path
 * @param {string} color
 */
function stroke({ context, ratio }, path, color) {
  context.lineJoin = "round";
  context.strokeStyle = "rgb(0 0 0 / 0.55)";
  context.lineWidth = 3.5 * ratio;
  context.stroke(path);
  context.strokeStyle = color;
  context.lineWidth = 1.75 * ratio;
  context.stroke(path);
}

/** @param {Section} section */
function outlineOf(section) {
  const known = kept(section);
  if (known.outline === undefined) known.outline = pathAround(section.mask, section);
  return known.outline;
}

/** @param {Section} section */
function bandOf(section) {
  const known = kept(section);
  if (known.band === undefined) {
    known.band = pathAround(section.probability?.map((value) => (isUncertain(value) ? 1 : 0)) ?? null, section);
  }
  return known.band;
}

/** @param {Uint8Array | null} mask @param {Section} section */
function pathAround(mask, { columns, rows }) {
  return mask === null ? null : pathOf(loopsAround(mask, columns, rows));
}

/** @param {Section} section */
function kept(section) {
  const known = paths.get(section) ?? {};
  paths.set(section, known);
  return known;
}

/** @param {Path2D} path @param {Placement} placement */
function placed(path, { scaleX, scaleY, left, top }) {
  const result = new Path2D();
  result.addPath(path, { a: scaleX, b: 0, c: 0, d: scaleY, e: left, f: top });
  return result;
}

/** Slanted lines: told apart from the fill without its color. @param {Paper} paper @param {string} color */
function hatching({ context, ratio }, color) {
  const side = Math.max(Math.round(6 * ratio), 4);
  const tile = canvasOf(side, side);
  const pen = penOf(tile);
  pen.strokeStyle = color;
  pen.lineWidth = 1.5 * ratio;
  pen.beginPath();
  for (const shift of [-side, 0, side]) {
    pen.moveTo(shift - 1, side + 1);
    pen.lineTo(shift + side + 1, -1);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat") ?? color;
}
