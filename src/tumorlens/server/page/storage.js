// @ts-check
/** What the browser keeps for the page. Where it refuses to, as locked-down ones do, it is kept until a reload. */

/**
 * @typedef {object} Kept
 * @property {(name: string) => string | null} get
 * @property {(name: string, text: string) => void} set
 */

/** Until the tab is closed. */
export const ofTab = keptIn(() => sessionStorage);
/** For good. */
export const ofBrowser = keptIn(() => localStorage);

/**
 * @param {() => Storage} storage Throws where the browser allows none.
 * @returns {Kept}
 */
function keptIn(storage) {
  /** @type {Map<string, string>} */
  const instead = new Map();
  return {
    get: (name) => {
      try {
        return instead.get(name) ?? storage().getItem(name);
      } catch {
        return null;
      }
    },
    set: (name, text) => {
      try {
        storage().setItem(name, text);
        instead.delete(name);
      } catch {
        instead.set(name, text); // refused, or full
      }
    },
  };
}
