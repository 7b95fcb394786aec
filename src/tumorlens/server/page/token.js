// @ts-check
import { ProblemError } from "./api.js";
import { setText } from "./element.js";

const GIVEN_UP = "This server wants an access token. Reload the page to enter it.";

/**
 * Ask for the access token that the server wants.
 *
 * @param {HTMLDialogElement} dialog With a form, a password field, a line for an error and a button to give up.
 * @returns {() => Promise<string>} Rejects where the person gives up.
 */
export function tokenAsker(dialog) {
  const form = /** @type {HTMLFormElement} */ (dialog.querySelector("form"));
  const field = /** @type {HTMLInputElement} */ (dialog.querySelector("input"));
  const error = /** @type {HTMLElement} */ (dialog.querySelector("[role=alert]"));
  let asked = 0;
  return () =>
    new Promise((resolve, reject) => {
      asked += 1;
      setText(error, asked > 1 ? "The server did not accept this token." : "");
      const done = new AbortController();
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const token = field.value.trim();
        if (!token) return;
        done.abort();
        field.value = "";
        dialog.close();
        resolve(token);
      }, { signal: done.signal });
      dialog.addEventListener("close", () => {
        done.abort();
        asked = 0;
        reject(new ProblemError({ title: "Token needed", status: 401, detail: GIVEN_UP }));
      }, { signal: done.signal });
      dialog.showModal();
      field.focus();
    });
}
