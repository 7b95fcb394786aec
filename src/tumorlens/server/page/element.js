// @ts-check
/** Elements made without markup, so that no text from outside is ever read as HTML. */

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * A new element.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | EventListener | null | undefined>} [attributes]
 *   Functions become listeners (`onclick`); false, null and undefined are left out; true is an empty value.
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  made.append(...kept(children));
  return made;
}

/**
 * Put children in place of what an element holds.
 *
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren(...kept(children));
}

/**
 * The element of the page with an id.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [kind]
 * @returns {T}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!found || (kind && !(found instanceof kind))) throw new Error(`the page has no fitting #${id}`);
  return /** @type {T} */ (found);
}

/**
 * Set an element's text only where it changes, so that screen readers and selections aren't disturbed.
 *
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * @param {Child[]} children
 * @returns {(Node | string)[]}
 */
function kept(children) {
  return children.filter((child) => child instanceof Node || (typeof child === "string" && child !== "")).map(
    (child) => /** @type {Node | string} */ (child),
  );
}
