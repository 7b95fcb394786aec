// @ts-check
import { ofBrowser } from "./storage.js";

const KEPT = "tumorlens.theme";

/**
 * Let a person switch between light and dark; the system's own is taken until then.
 *
 * The dark colors are a style sheet of their own, so that switching is a matter of when it applies.
 *
 * @param {HTMLButtonElement} button
 * @param {HTMLLinkElement} sheet The dark style sheet.
 */
export function offerThemes(button, sheet) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => {
    const chosen = ofBrowser.get(KEPT);
    return chosen ? chosen === "dark" : system.matches;
  };
  const apply = () => {
    const dark = isDark();
    sheet.media = dark ? "all" : "not all";
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    const next = dark ? "Light colors" : "Dark colors";
    button.setAttribute("aria-label", next);
    button.title = next;
  };
  button.addEventListener("click", () => {
    ofBrowser.set(KEPT, isDark() ? "light" : "dark");
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
