// @ts-check
/** @import { Result, Scan } from "./types.js" */
/** @import { Work } from "./work.js" */
import { element } from "./element.js";
import { sentence, stopped } from "./format.js";

/**
 * Which series was analysed and why, with a menu to have another one analysed.
 *
 * @param {Scan} scan
 * @param {Result | null} result Null where it failed.
 * @param {Work} work
 * @param {(sentence: string) => void} say
 * @returns {HTMLElement | null} Null where there was no choice.
 */
export function seriesPart(scan, result, work, say) {
  const series = scan.analysis?.series ?? [];
  if (series.length < 2 && !result?.reason) return null;
  return element(
    "section",
    { class: "series", "aria-labelledby": "series-title" },
    element("h3", { id: "series-title" }, "Series"),
    result?.reason ? element("p", {}, whyChosen(result.reason)) : null,
    series.length > 1 ? menu(scan, work, say) : null,
  );
}

/**
 * @param {string} reason The server's.
 * @returns {string}
 */
function whyChosen(reason) {
  if (reason.startsWith("asked for")) return "Chosen by you.";
  const [, place, why] = reason.match(/^(series \d+ of \d+): (.+)$/i) ?? ["", "This series", reason];
  return `${sentence(place)}, chosen for: ${stopped(why)}`;
}

/**
 * @param {Scan} scan
 * @param {Work} work
 * @param {(sentence: string) => void} say
 * @returns {HTMLElement}
 */
function menu(scan, work, say) {
  const series = scan.analysis?.series ?? [];
  const options = series.map(({ number, text, chosen }) =>
    element("option", { value: number, selected: chosen }, `${number}. ${text}`),
  );
  const choice = element("select", { id: "other-series", class: "field" }, ...options);
  const button = element("button", { type: "submit", class: "button" }, "Analyse this series");
  const choose = async (/** @type {Event} */ event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await work.otherSeries(scan, Number(choice.value));
    } catch (error) {
      say(`The series could not be analysed. ${error instanceof Error ? error.message : ""}`);
    } finally {
      button.disabled = false;
    }
  };
  const label = element("label", { for: "other-series" }, "Another series of this upload");
  return element("form", { class: "series-form", onsubmit: choose }, label, choice, button);
}
