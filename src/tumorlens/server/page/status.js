// @ts-check
/** @import { Api } from "./api.js" */
import { setText } from "./element.js";
import { pause } from "./watch.js";

const ASK_AGAIN_MS = 2000;
const TOLD_MS = 6000;

/**
 * Say when the server is gone, and ask until it is back.
 *
 * @param {HTMLElement} banner
 * @param {Api} api
 */
export function watchServer(banner, api) {
  let gone = false;
  api.addEventListener("reached", () => {
    gone = false;
    banner.hidden = true;
    setText(banner, "");
  });
  api.addEventListener("unreachable", async () => {
    if (gone) return;
    gone = true;
    banner.hidden = false;
    setText(banner, "The server doesn't answer. What is shown stays here; new scans wait until it is back.");
    while (gone) {
      await pause(ASK_AGAIN_MS);
      await api.fetch("healthz", { cache: "no-store" }).catch(() => undefined);
    }
  });
}

/**
 * @typedef {object} Voices
 * @property {(sentence: string) => void} say To screen readers alone.
 * @property {(sentence: string) => void} tell To everybody, for a while.
 */

/**
 * Say something to screen readers, or show it for a while where it answers a person's own action.
 *
 * @param {HTMLElement} region A live region that nobody sees.
 * @param {HTMLElement} note A live region that is seen.
 * @returns {Voices}
 */
export function announcer(region, note) {
  let timer = 0;
  return {
    say: (sentence) => {
      const line = document.createElement("p");
      line.textContent = sentence;
      region.append(line);
      while (region.childElementCount > 5) region.firstElementChild?.remove();
    },
    tell: (sentence) => {
      clearTimeout(timer);
      note.textContent = sentence;
      note.hidden = false;
      timer = window.setTimeout(() => {
        note.hidden = true;
        note.textContent = "";
      }, TOLD_MS);
    },
  };
}
