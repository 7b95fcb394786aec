// @ts-check
/** @import { Band, Model } from "./types.js" */
import { element } from "./element.js";
import { counted, number, sentence, stopped } from "./format.js";

/**
 * What a model has and hasn't seen, and what its confidence is worth.
 *
 * @param {Model} model
 * @returns {HTMLElement[]}
 */
export function modelFacts(model) {
  /** @type {[string, string][]} */
  const lines = [
    ["Learned from", model.trained_on],
    ["Has seen", model.seen],
    ["Has not seen", model.not_seen],
  ];
  const told = lines.filter(([, text]) => text);
  const list = element(
    "dl",
    { class: "model-facts" },
    ...told.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, stopped(sentence(text)))]),
  );
  return [list, ...(model.confidence.length ? [bands(model.confidence)] : [])];
}

/**
 * @param {Model} model
 * @returns {HTMLElement | null} The model card, folded.
 */
export function modelCard(model) {
  if (!model.card) return null;
  return element(
    "details",
    { class: "card-text" },
    element("summary", {}, `Model card of ${model.name}`),
    element("pre", { tabindex: 0, "aria-label": "Model card" }, model.card),
  );
}

/**
 * @param {Band} band
 * @param {Band | undefined} above The next surer one.
 * @returns {string} Which probabilities it stands for.
 */
function reach(band, above) {
  if (band.from_probability > 0) return `from ${number(100 * band.from_probability)}%`;
  return above ? `below ${number(100 * above.from_probability)}%` : "any";
}

/**
 * @param {Band[]} confidence
 * @returns {HTMLElement}
 */
function bands(confidence) {
  const rows = confidence.map((band, index) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, sentence(band.word)),
      element("td", {}, reach(band, confidence[index - 1])),
      element("td", {}, band.accuracy === null ? "not measured" : counted(band.accuracy)),
      element("td", {}, number(band.slices)),
    ),
  );
  const heads = ["Confidence", "Probability", "Named rightly", "Slices"];
  return element(
    "table",
    { class: "bands" },
    element("caption", {}, "What confidence has been worth, on slices of patients that were new to the model"),
    element("thead", {}, element("tr", {}, ...heads.map((each) => element("th", { scope: "col" }, each)))),
    element("tbody", {}, ...rows),
  );
}
