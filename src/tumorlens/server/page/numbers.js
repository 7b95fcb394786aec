// @ts-check
/** @import { Result } from "./types.js" */
import { area, number, runs, volume } from "./format.js";

/**
 * A line of the table of measurements.
 *
 * @typedef {object} Measure
 * @property {string} name
 * @property {string} value
 * @property {string} [note]
 */

/**
 * What was measured, for reading.
 *
 * @param {Result} result
 * @returns {Measure[]}
 */
export function measurements(result) {
  if (result.tumor_pixels === null) return [{ name: "Outline", value: "this model draws none" }];
  if (result.tumor_pixels === 0) return [{ name: "Outline", value: "nothing outlined" }];
  const stack = result.slices !== null;
  const lines = [];
  if (stack && result.volume_mm3 !== null) {
    lines.push({ name: "Volume", value: volume(result.volume_mm3), note: "outlined area × slice distance" });
  }
  lines.push({ name: stack ? "Largest area" : "Area", value: size(result), note: onSlice(result, result.key_slice) });
  const diameters = result.diameters;
  if (diameters) {
    const note = onSlice(result, diameters.slice);
    lines.push({ name: "Longest diameter", value: `${number(diameters.longest_mm, 1)} mm`, note });
    lines.push({ name: "Perpendicular", value: `${number(diameters.perpendicular_mm, 1)} mm`, note });
  }
  if (result.slices) lines.push(involved(result, result.slices));
  return lines;
}

/**
 * How the scan lies and how large its pixels are.
 *
 * @param {Result} result
 * @returns {Measure[]}
 */
export function scanFacts(result) {
  const [slices, rows, columns] = result.shape;
  const lines = [{ name: "Pixels", value: `${columns} × ${rows}${slices > 1 ? `, ${slices} slices` : ""}` }];
  lines.push({ name: "Spacing", value: spacing(result) });
  if (result.plane) lines.push({ name: "Plane", value: result.plane });
  if (result.series) lines.push({ name: "Series", value: result.series });
  return lines;
}

/**
 * The numbers as text for a spreadsheet: a line each, its name and its value with a tab between.
 *
 * @param {string} name The scan's.
 * @param {Result} result
 * @returns {string}
 */
export function asText(name, result) {
  const rows = [
    ["Scan", name],
    ["Tumor type", result.tumor_type],
    ...Object.entries(result.probabilities ?? {}).map(([type, share]) => [`Probability of ${type}`, share]),
    ["Confidence", result.confidence?.word],
    ["Share named rightly at this confidence", result.confidence?.accuracy],
    ["Outlined pixels", result.tumor_pixels],
    ["Largest area (mm²)", result.area_mm2],
    ["Volume (mm³)", result.volume_mm3],
    ["Longest diameter (mm)", result.diameters?.longest_mm],
    ["Perpendicular diameter (mm)", result.diameters?.perpendicular_mm],
    ["Slices involved", result.slices && runs(result.slices.map((each) => each.slice + 1))],
    ["Slices", result.shape[0]],
    ["Row spacing (mm)", short(result.spacing_mm?.[0])],
    ["Column spacing (mm)", short(result.spacing_mm?.[1])],
    ["Slice spacing (mm)", short(result.slice_spacing_mm)],
    ["Warnings", result.warnings.map((each) => each.message).join("; ") || "none"],
    ["Model", result.model],
    ["tumorlens", result.tumorlens],
    ["Notice", result.notice],
  ];
  return rows.map(([label, value]) => `${label}\t${cell(value)}`).join("\n") + "\n";
}

/**
 * @param {number | null | undefined} value
 * @returns {number | null} Without the tail that 32 bits leave.
 */
function short(value) {
  return value === null || value === undefined ? null : Number(value.toPrecision(6));
}

/**
 * @param {unknown} value
 * @returns {string} Without tabs and line breaks, which would end a cell.
 */
function cell(value) {
  return value === null || value === undefined ? "" : String(value).replace(/\s+/g, " ");
}

/**
 * @param {Result} result
 * @returns {string}
 */
function size(result) {
  if (result.area_mm2 !== null) return area(result.area_mm2);
  const most = result.slices ? Math.max(...result.slices.map((each) => each.tumor_pixels)) : result.tumor_pixels;
  return `${number(most ?? 0)} pixels`;
}

/**
 * @param {Result} result
 * @param {number} index From 0.
 * @returns {string}
 */
function onSlice(result, index) {
  return result.shape[0] > 1 ? `slice ${index + 1}` : "";
}

/**
 * @param {Result} result
 * @param {NonNullable<Result["slices"]>} slices
 * @returns {Measure}
 */
function involved(result, slices) {
  const numbers = runs(slices.map((each) => each.slice + 1));
  return { name: "Slices involved", value: `${slices.length} of ${result.shape[0]}`, note: numbers };
}

/**
 * @param {Result} result
 * @returns {string}
 */
function spacing(result) {
  if (!result.spacing_mm) return "not known: sizes are in pixels only";
  const [rows, columns] = result.spacing_mm.map((each) => Number(each.toPrecision(3)));
  const apart = result.slice_spacing_mm === null ? null : Number(result.slice_spacing_mm.toPrecision(3));
  const between = apart === null ? "; between slices not known" : `; slices ${apart} mm apart`;
  return `${rows} × ${columns} mm${result.shape[0] > 1 ? between : ""}`;
}
