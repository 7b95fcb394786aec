// @ts-check
/** Buttons, sliders and fields of the toolbar. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} name class
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, name, children = []) {
  const made = document.createElement(tag);
  made.className = name;
  made.append(...children);
  return made;
}

/**
 * A line drawing on a square of 24 × 24.
 *
 * @param {string} lines an SVG path
 * @returns {SVGSVGElement}
 */
export function icon(lines) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "viewer-icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", lines);
  svg.append(path);
  return svg;
}

/**
 * @typedef {object} ButtonParts
 * @property {string} label its name
 * @property {string} [text] written on it, hidden where there is little room
 * @property {string} [lines] of its icon
 * @property {string} [key] that does the same
 * @property {() => void} press
 */

/**
 * @param {ButtonParts} parts
 * @returns {HTMLButtonElement}
 */
export function button({ label, text, lines, key, press }) {
  const made = element("button", "viewer-button");
  made.type = "button";
  made.title = key === undefined ? label : `${label} (${key})`;
  made.setAttribute("aria-label", label);
  if (key !== undefined) made.setAttribute("aria-keyshortcuts", key);
  if (lines !== undefined) made.append(icon(lines));
  if (text !== undefined) made.append(element("span", "viewer-button-text", [text]));
  made.addEventListener("click", press);
  return made;
}

/**
 * @param {{label: string, most: number, step: number, slide: (value: number) => void}} parts
 * @returns {HTMLInputElement}
 */
export function slider({ label, most, step, slide }) {
  const made = element("input", "viewer-range");
  made.type = "range";
  made.min = "0";
  made.max = String(most);
  made.step = String(step);
  made.setAttribute("aria-label", label);
  made.addEventListener("input", () => slide(Number(made.value)));
  return made;
}

/**
 * A number with its name before it.
 *
 * @param {{label: string, name: string, enter: (value: number) => void}} parts label: what is written
 * @returns {{row: HTMLElement, field: HTMLInputElement}}
 */
export function number({ label, name, enter }) {
  const field = element("input", "viewer-number");
  field.type = "number";
  field.step = "any";
  field.setAttribute("aria-label", name);
  field.addEventListener("change", () => enter(field.valueAsNumber));
  return { row: element("label", "viewer-field", [element("span", "viewer-field-text", [label]), field]), field };
}

/**
 * @param {string} label
 * @param {string} name class beside `viewer-group`
 * @param {Node[]} children
 * @returns {HTMLElement}
 */
export function group(label, name, children) {
  const made = element("div", `viewer-group ${name}`, children);
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", label);
  return made;
}
