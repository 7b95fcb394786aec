// @ts-check
/** @import { Analysis } from "./types.js" */
/** @import { Api } from "./api.js" */
import { ProblemError } from "./api.js";
import { isFinal } from "./wording.js";

/** A browser opens six connections to a server; more streams than this would leave none for pictures. */
const MOST_STREAMS = 2;
const POLL_MS = 1000;
const LONGEST_PAUSE_MS = 5000;
let streams = 0;

/**
 * Follow an analysis until it won't change any more, whatever happens to the connection.
 *
 * @param {Api} api
 * @param {string} id
 * @param {(analysis: Analysis) => void} told Called with each state.
 * @param {AbortSignal} signal Ends it.
 * @returns {Promise<void>}
 * @throws {ProblemError} The server doesn't know the analysis, or refuses to tell.
 */
export async function watch(api, id, told, signal) {
  let failures = 0;
  while (!signal.aborted) {
    const before = Date.now();
    try {
      const last = await (streams < MOST_STREAMS && failures < 2 ? follow : poll)(api, id, told, signal);
      if (last && isFinal(last.status)) return;
      if (Date.now() - before > LONGEST_PAUSE_MS) failures = 0; // it held for a while, then was cut
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ProblemError && !isPassing(error)) throw error;
    }
    failures += 1;
    await pause(Math.min(LONGEST_PAUSE_MS, POLL_MS * Math.min(failures, 5)), signal);
  }
}

/**
 * @param {ProblemError} error
 * @returns {boolean} Whether it may be over soon.
 */
function isPassing(error) {
  return error.problem.status === 429 || error.problem.status >= 500;
}

/**
 * One stream of events, to its end.
 *
 * @param {Api} api
 * @param {string} id
 * @param {(analysis: Analysis) => void} told
 * @param {AbortSignal} signal
 * @returns {Promise<Analysis | null>} The last state that came.
 */
async function follow(api, id, told, signal) {
  streams += 1;
  try {
    const path = `v1/analyses/${encodeURIComponent(id)}/events`;
    const response = await api.ask(path, { signal, headers: { Accept: "text/event-stream" } });
    if (!response.body) return null;
    let last = null;
    for await (const data of events(response.body)) {
      last = /** @type {Analysis} */ (JSON.parse(data));
      told(last);
      if (isFinal(last.status)) break;
    }
    return last;
  } finally {
    streams -= 1;
  }
}

/**
 * @param {Api} api
 * @param {string} id
 * @param {(analysis: Analysis) => void} told
 * @param {AbortSignal} signal
 * @returns {Promise<Analysis>}
 */
async function poll(api, id, told, signal) {
  const found = await api.analysis(id, signal);
  told(found);
  return found;
}

/**
 * The data of each `analysis` event of a stream of server-sent events.
 *
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<string>}
 */
export async function* events(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const parts = rest.split(/\r\n\r\n|\n\n|\r\r/);
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const data = dataOf(part);
        if (data) yield data;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/**
 * @param {string} event Its lines.
 * @returns {string | null} Null for a comment or another event.
 */
function dataOf(event) {
  const fields = event.split(/\r\n|\n|\r/).map((line) => line.match(/^([^:]+):? ?(.*)$/));
  const named = fields.find((field) => field?.[1] === "event")?.[2] ?? "message";
  const data = fields.filter((field) => field?.[1] === "data").map((field) => field?.[2]);
  return named === "analysis" && data.length ? data.join("\n") : null;
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} [signal] Ends it early, without an error.
 * @returns {Promise<void>}
 */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
