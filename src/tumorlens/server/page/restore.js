// @ts-check
/** @import { Analysis } from "./types.js" */
/** @import { Api } from "./api.js" */
/** @import { Scans } from "./scans.js" */
/** @import { Work } from "./work.js" */
import { UnreachableError } from "./api.js";

/**
 * List this tab's scans again after a reload; those that the server has erased drop out.
 *
 * @param {Api} api
 * @param {Scans} scans
 * @param {Work} work
 */
export async function restore(api, scans, work) {
  const kept = scans.kept();
  const found = await Promise.all(kept.map(({ id }) => known(api, id)));
  let wanted = scans.selected;
  kept.forEach(({ name, selected }, index) => {
    const analysis = found[index];
    if (!analysis) return;
    const scan = scans.add(name || analysis.name, { analysis });
    if (selected) wanted ??= scan;
    work.resume(scan);
  });
  scans.select(wanted ?? scans.list[0] ?? null);
  scans.keep();
}

/**
 * @param {Api} api
 * @param {string} id
 * @returns {Promise<Analysis | null>} Null where it is gone. Waits for a server that isn't there.
 */
async function known(api, id) {
  for (;;) {
    try {
      return await api.analysis(id);
    } catch (error) {
      if (!(error instanceof UnreachableError)) return null;
      await new Promise((resolve) => api.addEventListener("reached", resolve, { once: true }));
    }
  }
}
