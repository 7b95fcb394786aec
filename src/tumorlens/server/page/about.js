// @ts-check
/** @import { Api } from "./api.js" */
import { element, fill } from "./element.js";
import { modelCard, modelFacts } from "./facts.js";

/**
 * Say on the first look and in a dialog what the model has and hasn't seen.
 *
 * @param {HTMLElement} firstLook
 * @param {HTMLElement} dialog The dialog's body.
 * @param {Api} api
 */
export async function tellOfModel(firstLook, dialog, api) {
  try {
    const models = await api.models();
    const model = models.find((each) => each.default) ?? models[0];
    if (!model) throw new Error("The server has no model.");
    fill(firstLook, ...modelFacts(model));
    fill(dialog, element("p", {}, `Model: ${model.name}.`), ...modelFacts(model), modelCard(model));
  } catch (error) {
    const sentence = error instanceof Error ? error.message : String(error);
    fill(firstLook, element("p", {}, `What the model has seen could not be loaded. ${sentence}`));
    api.addEventListener("reached", () => void tellOfModel(firstLook, dialog, api), { once: true });
  }
}

/**
 * Let buttons open a dialog and close it.
 *
 * @param {HTMLDialogElement} dialog
 * @param {HTMLElement[]} openers
 */
export function offerDialog(dialog, openers) {
  for (const opener of openers) opener.addEventListener("click", () => dialog.showModal());
  for (const button of dialog.querySelectorAll("button[data-close]")) {
    button.addEventListener("click", () => dialog.close());
  }
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
}
