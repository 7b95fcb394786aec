// @ts-check
/** @import { Analysis, Result } from "./types.js" */
/** @import { Api } from "./api.js" */
/** @import { Voices } from "./status.js" */
import { element } from "./element.js";
import { icon } from "./icons.js";

/** What can be downloaded, in order. */
const FORMATS = [
  { format: "html", name: "Report", about: "web page" },
  { format: "overlay", name: "Outline", about: "PNG, on the slice" },
  { format: "heatmap", name: "Heatmap", about: "PNG, on the slice" },
  { format: "mask", name: "Mask", about: "PNG" },
  { format: "nifti", name: "Mask volume", about: "NIfTI" },
  { format: "json", name: "Numbers", about: "JSON" },
  { format: "seg", name: "Segmentation", about: "DICOM SEG" },
  { format: "sr", name: "Measurements", about: "DICOM SR" },
  { format: "capture", name: "Picture", about: "DICOM capture" },
];
const OF_DICOM = new Set(["seg", "sr", "capture"]);
const OF_TUMOR = new Set(["seg", "sr"]);

/**
 * What can be downloaded, and what can't be with the reason.
 *
 * @param {Analysis} analysis
 * @param {Result} result
 * @param {Api} api
 * @param {Voices} voices
 * @returns {HTMLElement}
 */
export function downloads(analysis, result, api, voices) {
  const had = FORMATS.filter(({ format }) => analysis.files.includes(format));
  const missing = FORMATS.filter(({ format }) => !analysis.files.includes(format));
  return element(
    "section",
    { class: "downloads", "aria-labelledby": "downloads-title" },
    element("h3", { id: "downloads-title" }, "Download"),
    analysis.files.includes("html") ? reportButton(analysis, api, voices) : null,
    element("ul", { class: "files" }, ...had.map((each) => element("li", {}, saveButton(analysis, each, api, voices)))),
    ...reasons(missing, result),
  );
}

/**
 * @param {Analysis} analysis
 * @param {{format: string, name: string, about: string}} each
 * @param {Api} api
 * @param {Voices} voices
 * @returns {HTMLElement}
 */
function saveButton(analysis, { format, name, about }, api, voices) {
  const save = () => saveFile(analysis, format, api, voices);
  const words = element("span", {}, name, " ", element("span", { class: "about" }, about));
  const attributes = { type: "button", class: "file", "data-format": format, onclick: save };
  return element("button", attributes, icon("download"), words);
}

/**
 * A link can't carry a token; then the report is saved instead of opened.
 *
 * @param {Analysis} analysis
 * @param {Api} api
 * @param {Voices} voices
 * @returns {HTMLElement}
 */
function reportButton(analysis, api, voices) {
  const path = api.filePath(analysis.id, "html");
  if (api.hasToken) {
    const save = () => saveFile(analysis, "html", api, voices);
    return element("button", { type: "button", class: "button main", onclick: save }, icon("download"), "Save report");
  }
  return element(
    "a",
    { class: "button main", href: api.address(`${path}?inline=true`), target: "_blank", rel: "noopener" },
    icon("open"),
    "Open report",
    element("span", { class: "unseen" }, " in a new tab"),
  );
}

/**
 * @param {Analysis} analysis
 * @param {string} format
 * @param {Api} api
 * @param {Voices} voices
 */
async function saveFile(analysis, format, api, { say, tell }) {
  try {
    const response = await api.ask(api.filePath(analysis.id, format));
    const address = URL.createObjectURL(await response.blob());
    const name = fileName(response.headers.get("Content-Disposition")) ?? `tumorlens-${format}`;
    element("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    say(`${name} is saved.`);
  } catch (error) {
    tell(`It could not be saved. ${error instanceof Error ? error.message : ""}`);
  }
}

/**
 * @param {string | null} disposition The header.
 * @returns {string | null}
 */
export function fileName(disposition) {
  const encoded = disposition?.match(/filename\*=UTF-8''([^;]+)/i)?.[1];
  if (encoded) {
    try {
      return decodeURIComponent(encoded);
    } catch {
      // a damaged name; the plain one will do
    }
  }
  return disposition?.match(/filename="?([^";]+)"?/i)?.[1] ?? null;
}

/**
 * Why formats can't be had, those with one reason together.
 *
 * @param {{format: string, name: string, about: string}[]} missing
 * @param {Result} result
 * @returns {HTMLElement[]}
 */
function reasons(missing, result) {
  /** @type {Map<string, string[]>} */
  const found = new Map();
  for (const { format, about, name } of missing) {
    const why = reason(format, result);
    found.set(why, [...(found.get(why) ?? []), OF_DICOM.has(format) ? about : name]);
  }
  return [...found].map(([why, names]) =>
    element("p", { class: "missing" }, `Not to be had: ${names.join(", ")}. ${why}`),
  );
}

/**
 * @param {string} format
 * @param {Result} result
 * @returns {string}
 */
export function reason(format, result) {
  if (OF_TUMOR.has(format) && result.tumor_pixels === 0) return "No tumor is outlined.";
  if (OF_DICOM.has(format)) return "DICOM files can only be made of a scan that came as DICOM.";
  if (format === "heatmap") return "This model has no heatmap.";
  if (result.tumor_pixels === null) return "This model draws no outline.";
  return "It could not be made of this scan.";
}
