// @ts-check
/** @import { Sample } from "./types.js" */
/** @import { Api } from "./api.js" */
/** @import { Dropped } from "./files.js" */
import { element, fill } from "./element.js";
import { sentence } from "./format.js";

const FOLDER = "static/samples/";

/**
 * Offer the bundled slices.
 *
 * @param {HTMLElement} target
 * @param {Api} api
 * @param {(scans: Dropped[]) => void} take
 */
export async function offerSamples(target, api, take) {
  const found = await (await api.ask(`${FOLDER}samples.json`)).json();
  const items = found.samples.map((/** @type {Sample} */ sample) => item(sample, api, take));
  fill(
    target,
    element("ul", { class: "sample-list" }, ...items),
    element(
      "p",
      { class: "small" },
      `${found.notice} Slices: `,
      element("a", { href: found.source, rel: "noreferrer" }, found.credit),
      `. ${found.changes}`,
    ),
  );
}

/**
 * @param {Sample} sample
 * @param {Api} api
 * @param {(scans: Dropped[]) => void} take
 * @returns {HTMLElement}
 */
function item(sample, api, take) {
  const open = async () => {
    const response = await api.ask(`${FOLDER}${sample.file}`);
    const file = new File([await response.blob()], sample.file);
    take([{ name: `${sample.title}`, files: [file] }]);
  };
  const picture = element("img", { src: api.address(FOLDER + sample.thumbnail), alt: "", width: 240, height: 240 });
  return element(
    "li",
    {},
    element(
      "button",
      { type: "button", class: "sample", onclick: open },
      picture,
      element(
        "span",
        { class: "sample-words" },
        element("strong", {}, sentence(sample.type)),
        element("span", {}, sample.title),
      ),
    ),
  );
}
