// @ts-check
/** @import { Analysis, Result, Scan } from "./types.js" */
/** @import { Voices } from "./status.js" */
/** @import { Work } from "./work.js" */
import { copyText } from "./clipboard.js";
import { downloads } from "./downloads.js";
import { element, fill } from "./element.js";
import { clock, percent, sentence, stopped } from "./format.js";
import { icon } from "./icons.js";
import { asText, measurements, scanFacts } from "./numbers.js";
import { seriesPart } from "./series.js";
import { typeIsDoubtful, warningTexts, worth } from "./wording.js";

/**
 * Show what was found on a scan.
 *
 * @param {HTMLElement} target
 * @param {Scan & {analysis: Analysis & {result: Result}}} scan
 * @param {Work} work
 * @param {Voices} voices
 */
export function showResult(target, scan, work, voices) {
  const { analysis } = scan;
  const { result } = analysis;
  fill(
    target,
    element("h2", { class: "result-name", title: scan.name }, scan.name),
    warningsPart(result),
    judgement(result),
    table("Measurements", measurements(result)),
    copyButton(scan.name, result, voices),
    downloads(analysis, result, work.api, voices),
    table("Scan", scanFacts(result)),
    seriesPart(scan, result, work, voices.tell),
    foot(analysis, result),
  );
}

/**
 * @param {Result} result
 * @returns {HTMLElement | null}
 */
function warningsPart(result) {
  const texts = warningTexts(result.warnings);
  if (!texts.length) return null;
  const items = texts.map(({ title, meaning, advice }) =>
    element(
      "li",
      {},
      element("strong", {}, icon("warning"), element("span", {}, stopped(title))),
      element("p", {}, meaning),
      element("p", {}, advice),
    ),
  );
  return element("section", { class: "warnings", "aria-label": "Warnings" }, element("ul", {}, ...items));
}

/**
 * The type, its probabilities and what the confidence word is worth.
 *
 * @param {Result} result
 * @returns {HTMLElement}
 */
function judgement(result) {
  const { tumor_type: type, probabilities, confidence } = result;
  const doubtful = typeIsDoubtful(result);
  const name = type ? sentence(type) : "Not named";
  return element(
    "section",
    { class: doubtful ? "judgement doubtful" : "judgement", "aria-label": "Tumor type" },
    element("p", { class: "label" }, doubtful ? "Tumor type, if there is a tumor" : "Tumor type"),
    element("p", { class: "type" }, name),
    type ? null : element("p", {}, "This model doesn't name tumors."),
    probabilities && bars(probabilities, type),
    confidence &&
      element(
        "p",
        { class: "confidence" },
        element("strong", { class: `word ${confidence.word}` }, `${sentence(confidence.word)} confidence.`),
        " ",
        worth(confidence),
      ),
  );
}

/**
 * @param {Record<string, number>} probabilities
 * @param {string | null} type The likeliest.
 * @returns {HTMLElement}
 */
function bars(probabilities, type) {
  const ordered = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
  const rows = ordered.map(([name, share]) => {
    const length = element("span", { class: "length" });
    length.style.inlineSize = `${(share * 100).toFixed(2)}%`;
    return element(
      "tr",
      { class: name === type ? "likeliest" : null },
      element("th", { scope: "row" }, sentence(name)),
      element("td", { class: "track-cell", "aria-hidden": "true" }, element("span", { class: "track" }, length)),
      element("td", { class: "value" }, percent(share)),
    );
  });
  return element(
    "table",
    { class: "bars" },
    element("caption", { class: "unseen" }, "Probability of each tumor type"),
    element("tbody", {}, ...rows),
  );
}

/**
 * @param {string} title
 * @param {import("./numbers.js").Measure[]} lines
 * @returns {HTMLElement}
 */
function table(title, lines) {
  const rows = lines.map(({ name, value, note }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, name),
      element("td", {}, value, note ? element("span", { class: "note" }, note) : null),
    ),
  );
  return element("table", { class: "facts" }, element("caption", {}, title), element("tbody", {}, ...rows));
}

/**
 * @param {string} name
 * @param {Result} result
 * @param {Voices} voices
 * @returns {HTMLElement}
 */
function copyButton(name, result, { say, tell }) {
  const label = element("span", {}, "Copy numbers");
  const copy = async () => {
    const copied = await copyText(asText(name, result));
    if (copied) say("The numbers are copied, for a spreadsheet.");
    else tell("The browser refused to copy the numbers. Save them as JSON instead.");
    label.textContent = copied ? "Copied" : "Not copied";
    setTimeout(() => (label.textContent = "Copy numbers"), 2500);
  };
  return element("button", { type: "button", id: "copy-numbers", class: "button", onclick: copy }, icon("copy"), label);
}

/**
 * @param {Analysis} analysis
 * @param {Result} result
 * @returns {HTMLElement}
 */
function foot(analysis, result) {
  const model = result.model ? `Model ${result.model}, ` : "";
  const kept = analysis.expires ? ` Kept on the server until ${clock(analysis.expires)}, then erased.` : "";
  return element(
    "footer",
    { class: "result-foot" },
    element("p", {}, `${model}tumorlens ${result.tumorlens}.${kept}`),
    element("p", { class: "notice" }, element("strong", {}, "Research use only. Not a diagnosis.")),
  );
}
