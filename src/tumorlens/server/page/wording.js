// @ts-check
/** @import { Confidence, Problem, Result, Scan, State, Warning } from "./types.js" */
import { counted, number, percent, sentence, stopped } from "./format.js";

/**
 * What a warning means, and what to do.
 *
 * @type {Record<string, {meaning: string, advice: string}>}
 */
const ADVICE = {
  unfamiliar: {
    meaning:
      "The picture differs from the slices that the model learned from: perhaps another sequence, another " +
      "part of the body, no contrast agent, or turned or inverted.",
    advice:
      "Check that it is contrast-enhanced T1 of the head, the right way up. If it isn't, use nothing of this.",
  },
  "no-tumor": {
    meaning:
      "Nothing stood out clearly enough to be called a tumor. That doesn't show that there is none: small " +
      "tumors and tumors as bright as the brain around them are missed.",
    advice: "Look at the slices yourself. The tumor type means nothing unless there is a tumor.",
  },
  unsure: {
    meaning: "Two tumor types are nearly as likely, and which of them comes first is close to chance.",
    advice: "Treat the type as open between these two.",
  },
  edge: {
    meaning: "A part of the tumor may lie outside of what was scanned; it may be larger than measured here.",
    advice: "Read the measurements as lower limits, or analyse a series that covers the whole tumor.",
  },
  uneven: {
    meaning: "The distances between slices differ, perhaps because some are missing; one was used for all.",
    advice: "Check that the series is complete. Read volume and slice numbers as approximate.",
  },
  incomplete: {
    meaning:
      "Files beside those of this series are damaged or empty. Slices of it may be among them, and a part of " +
      "the tumor with these.",
    advice: "Get the series again. Read volume and slice numbers as those of what could be read.",
  },
};
const OTHER = {
  meaning: "The model gave this warning without a further explanation.",
  advice: "Look at the slices yourself.",
};

/** Warnings under which the tumor's type shouldn't be read at all. */
const VOID = new Set(["unfamiliar", "no-tumor"]);

/**
 * Warnings with what they mean and what to do; those of one kind together.
 *
 * @param {Warning[]} warnings
 * @returns {{title: string, meaning: string, advice: string}[]}
 */
export function warningTexts(warnings) {
  const kinds = [...new Set(warnings.map((each) => each.kind))];
  return kinds.map((kind) => {
    const messages = warnings.filter((each) => each.kind === kind).map((each) => each.message);
    return { title: sentence(messages.join("; ")), ...(ADVICE[kind] ?? OTHER) };
  });
}

/**
 * Whether the tumor's type should be shown as something that may mean nothing.
 *
 * @param {Result} result
 * @returns {boolean}
 */
export function typeIsDoubtful(result) {
  return result.warnings.some((each) => VOID.has(each.kind));
}

/**
 * What a confidence word has been worth.
 *
 * @param {Confidence} confidence
 * @returns {string}
 */
export function worth(confidence) {
  if (confidence.accuracy === null || !confidence.slices) return "How often that is right was not measured.";
  const slices = number(confidence.slices);
  return `Of slices called this sure, ${counted(confidence.accuracy)} were named rightly (${slices} slices).`;
}

/**
 * A finished scan in one sentence.
 *
 * @param {string} name
 * @param {Result} result
 * @returns {string}
 */
export function spoken(name, result) {
  const type = result.tumor_type;
  const share = type ? result.probabilities?.[type] : undefined;
  const parts = [
    type ? `${type}${share === undefined ? "" : `, ${percent(share)}`}` : "",
    result.confidence ? `${result.confidence.word} confidence` : "",
    result.tumor_pixels === 0 ? "no tumor outlined" : "",
    result.warnings.length ? `warning: ${result.warnings.map((each) => each.message).join("; ")}` : "",
  ];
  return `${name}: ${parts.filter(Boolean).join(", ")}.`;
}

/** What the server's sentences hold that says nothing to most people, and what is said instead. */
const PLAINER = /** @type {[RegExp, string][]} */ ([
  [/^scan[.\w]*: /, ""], // the upload's neutral name; the page says which scan it is
  [/(can be decoded) \(.*\)(?=, but )/, "$1"], // the name of a DICOM file's coding
  [/cannot identify image file '[^']*'/, "it is damaged"],
  [/File is not a zip file/, "it is damaged"],
]);

/**
 * The server's sentence in the page's words.
 *
 * @param {string} detail
 * @returns {string}
 */
export function toldBy(detail) {
  return stopped(sentence(PLAINER.reduce((text, [technical, plain]) => text.replace(technical, plain), detail)));
}

/** @type {Record<Scan["state"], string>} */
export const STATES = {
  waiting: "Waiting",
  sending: "Sending",
  queued: "Waiting for its turn",
  running: "Analysing",
  done: "Done",
  failed: "Not analysed",
  cancelled: "Cancelled",
  interrupted: "Interrupted",
};

/**
 * What a person can do about a scan that has no result.
 *
 * @param {Problem | null} problem
 * @param {Scan["state"]} state
 * @returns {string}
 */
export function remedy(problem, state) {
  if (state === "interrupted") return "The server was stopped while it worked on this scan. Open the scan again.";
  if (state === "cancelled") return "You cancelled this scan. Open it again to have it analysed.";
  switch (problem?.status) {
    case 404:
      return "Results are kept for a limited time. Open the scan again.";
    case 413:
      return "Open a single series or a single slice, or ask whoever runs the server to raise its limits.";
    case 415:
    case 422:
      return "Check that it is a PNG, JPEG, TIFF or BMP picture, a MATLAB .mat slice, NIfTI, DICOM, or a zip of DICOM.";
    default:
      return "Open the scan again. If that doesn't help, whoever runs the server finds more in its log.";
  }
}

/** @type {Set<string>} */
const FINAL = new Set(["done", "failed", "cancelled", "interrupted"]);

/**
 * Whether an analysis won't change any more.
 *
 * @param {State} status
 * @returns {boolean}
 */
export function isFinal(status) {
  return FINAL.has(status);
}
