// @ts-check
/** What is written onto a plane: sides of the patient, scale, corner text, legend, crosshair, rulers. */

import { lengthOf } from "./rulers.js";

/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./geometry.js").Placement} Placement */
/** @typedef {{context: CanvasRenderingContext2D, width: number, height: number, ratio: number}} Paper ratio: device
 *   pixels a CSS pixel */

const SCALES_MM = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200];
const HALO = "rgb(0 0 0 / 0.85)";

/**
 * A line is drawn twice: its dark rim first, then itself.
 *
 * @param {string | CanvasGradient | CanvasPattern} style
 * @param {string} rim
 * @param {number} wide the rim's width
 * @param {number} narrow the line's own
 */
function twice(style, rim, wide, narrow) {
  return [{ style: rim, line: wide }, { style, line: narrow }];
}

/**
 * Text with a dark rim, readable on any gray.
 *
 * @param {Paper} paper
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {CanvasTextAlign} align
 * @param {CanvasTextBaseline} baseline
 */
function write({ context, ratio }, text, x, y, align, baseline) {
  context.textAlign = align;
  context.textBaseline = baseline;
  context.lineWidth = 3 * ratio;
  context.strokeStyle = HALO;
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}

/** @param {Paper} paper @param {string} color @returns {number} the size of a line of text in device pixels */
export function ready(paper, color) {
  const { context, width, height, ratio } = paper;
  const own = parseFloat(getComputedStyle(context.canvas).fontSize) || 13; // larger where the whole page is
  const size = Math.min(Math.max(Math.min(width, height) / ratio / 48, 0.92 * own), 22) * ratio;
  context.font = `500 ${size}px system-ui, "DejaVu Sans", sans-serif`;
  context.fillStyle = color;
  context.lineJoin = "round"; // as if nothing had been drawn before: the same marks at every drawing
  context.lineCap = "butt";
  return size;
}

/**
 * @param {Paper} paper
 * @param {import("./types.js").Letters | null} letters
 * @param {number} size
 */
export function drawLetters(paper, letters, size) {
  if (letters === null) return;
  const { width, height } = paper;
  const gap = 0.6 * size;
  write(paper, letters.left, gap, height / 2, "left", "middle");
  write(paper, letters.right, width - gap, height / 2, "right", "middle");
  write(paper, letters.top, width / 2, gap, "center", "top");
  write(paper, letters.bottom, width / 2, height - gap, "center", "bottom");
}

/**
 * @param {Paper} paper
 * @param {string[]} lines
 * @param {"left" | "right"} side
 * @param {number} size
 */
export function drawCorner(paper, lines, side, size) {
  const x = side === "left" ? 0.6 * size : paper.width - 0.6 * size;
  lines.forEach((line, index) => write(paper, line, x, (0.6 + 1.35 * index) * size, side, "top"));
}

/**
 * A bar of a round length.
 *
 * @param {Paper} paper
 * @param {number} pixels screen pixels a millimetre
 * @param {number} size
 */
export function drawScale(paper, pixels, size) {
  const { context, width, height, ratio } = paper;
  const length = SCALES_MM.filter((scale) => scale * pixels <= 0.28 * width).pop();
  if (length === undefined) return;
  const [x, y] = [0.6 * size, height - 0.8 * size];
  const tick = 3.5 * ratio;
  for (const { style, line } of twice(context.fillStyle, HALO, 4 * ratio, 1.5 * ratio)) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.lineCap = "square";
    context.beginPath();
    context.moveTo(x, y - tick);
    context.lineTo(x, y);
    context.lineTo(x + length * pixels, y);
    context.lineTo(x + length * pixels, y - tick);
    context.stroke();
  }
  write(paper, length >= 10 ? `${length / 10} cm` : `${length} mm`, x, y - 2.2 * tick, "left", "bottom");
}

/**
 * What the heatmap's colors mean.
 *
 * @param {Paper} paper
 * @param {Uint8Array} heat 256 × (red, green, blue)
 * @param {number} size
 */
export function drawLegend(paper, heat, size) {
  const { context, width, height, ratio } = paper;
  const long = Math.min(8 * size, 0.3 * width);
  const [x, y, high] = [width - 0.6 * size - long, height - 1.4 * size, 0.7 * size];
  context.fillStyle = HALO;
  context.fillRect(x - ratio, y - ratio, long + 2 * ratio, high + 2 * ratio);
  const gradient = context.createLinearGradient(x, 0, x + long, 0);
  for (let stop = 0; stop <= 8; stop += 1) {
    const at = 3 * Math.round((stop / 8) * 255);
    gradient.addColorStop(stop / 8, `rgb(${heat[at]} ${heat[at + 1]} ${heat[at + 2]})`);
  }
  const text = context.fillStyle;
  context.fillStyle = gradient;
  context.fillRect(x, y, long, high);
  return { text, x, y, long };
}

/**
 * @param {Paper} paper
 * @param {{heat: Uint8Array, text: string}} colors
 * @param {number} size
 */
export function drawNamedLegend(paper, colors, size) {
  const { x, y, long } = drawLegend(paper, colors.heat, size);
  paper.context.fillStyle = colors.text;
  write(paper, "less", x, y - 0.4 * size, "left", "bottom");
  write(paper, "more", x + long, y - 0.4 * size, "right", "bottom");
  write(paper, "Spoke for the type", x + long, y - 1.7 * size, "right", "bottom");
}

/**
 * Two lines that leave the pixel itself free.
 *
 * @param {Paper} paper
 * @param {Point} at on the screen
 * @param {string} color
 */
export function drawCrosshair(paper, at, color) {
  const { context, width, height, ratio } = paper;
  const gap = 10 * ratio;
  const [x, y] = [Math.floor(at.x) + 0.5, Math.floor(at.y) + 0.5];
  for (const { style, line } of twice(color, "rgb(0 0 0 / 0.5)", 3 * ratio, ratio)) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.beginPath();
    for (const [x1, y1, x2, y2] of [
      [0, y, x - gap, y], [x + gap, y, width, y], [x, 0, x, y - gap], [x, y + gap, x, height],
    ]) {
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
    }
    context.stroke();
  }
}

/**
 * @param {Paper} paper
 * @param {import("./rulers.js").Rulers} rulers
 * @param {import("./rulers.js").Ruler[]} shown
 * @param {Placement} placement
 * @param {string} color
 */
export function drawRulers(paper, rulers, shown, placement, color) {
  for (const ruler of shown) {
    const [from, to] = [placement.toScreen(ruler.from), placement.toScreen(ruler.to)];
    const chosen = rulers.chosen?.ruler === ruler ? rulers.chosen.end : null;
    strokeRuler(paper, from, to, color, chosen !== null);
    if (chosen !== null) drawEnds(paper, { from, to }, chosen, color);
    paper.context.fillStyle = color;
    const right = from.x > to.x ? from : to;
    write(paper, lengthOf(ruler), right.x + 10 * paper.ratio, right.y, "left", "middle");
  }
}

/**
 * @param {Paper} paper
 * @param {Point} from
 * @param {Point} to
 * @param {string} color
 * @param {boolean} chosen
 */
function strokeRuler({ context, ratio }, from, to, color, chosen) {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const [nx, ny] = [(-(to.y - from.y) / length) * 5 * ratio, ((to.x - from.x) / length) * 5 * ratio];
  context.lineCap = "butt";
  for (const { style, line } of twice(color, HALO, 4 * ratio, (chosen ? 2 : 1.5) * ratio)) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    for (const end of [from, to]) {
      context.moveTo(end.x - nx, end.y - ny);
      context.lineTo(end.x + nx, end.y + ny);
    }
    context.stroke();
  }
}

/**
 * @param {Paper} paper
 * @param {{from: Point, to: Point}} ends
 * @param {import("./rulers.js").End} chosen
 * @param {string} color
 */
function drawEnds({ context, ratio }, ends, chosen, color) {
  for (const end of /** @type {const} */ (["from", "to"])) {
    context.beginPath();
    context.arc(ends[end].x, ends[end].y, 5 * ratio, 0, 2 * Math.PI);
    context.fillStyle = end === chosen ? color : "rgb(0 0 0 / 0.4)";
    context.fill();
    context.strokeStyle = color;
    context.lineWidth = 1.5 * ratio;
    context.stroke();
  }
}
