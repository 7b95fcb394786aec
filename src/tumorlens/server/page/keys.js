// @ts-check
import { ofBrowser } from "./storage.js";

const KEPT = "tumorlens.keys";

/**
 * Single keys for what is done often. They can be switched off, for those whose speech or hands type by accident.
 *
 * @param {Record<string, () => void>} actions By key.
 * @param {HTMLInputElement} toggle Whether they work.
 */
export function offerKeys(actions, toggle) {
  toggle.checked = ofBrowser.get(KEPT) !== "off";
  toggle.addEventListener("change", () => ofBrowser.set(KEPT, toggle.checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const action = actions[event.key] ?? actions[event.key.toLowerCase()];
    if (!action || (!toggle.checked && event.key !== "?")) return;
    event.preventDefault();
    action();
  });
}

/**
 * @param {EventTarget | null} target
 * @returns {boolean} Whether keys there are text, or choose from a menu.
 */
function isTyping(target) {
  if (target instanceof HTMLInputElement) return !["checkbox", "button", "range"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
