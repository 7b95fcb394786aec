// @ts-check
/** @import { Analysis, Scan } from "./types.js" */
/** @import { Api } from "./api.js" */
/** @import { Scans } from "./scans.js" */
import { ProblemError, UnreachableError } from "./api.js";
import { send } from "./send.js";
import { pause, watch } from "./watch.js";
import { isFinal } from "./wording.js";

/** Uploads at once; the server's own queue does the rest. */
const MOST_UPLOADS = 2;
const RETRY_SECONDS = 2;
const EMPTY = { title: "Empty", status: 422, detail: "There is nothing in this file. Copy it again from where it came." };

/**
 * Brings scans to the server and follows them there.
 */
export class Work {
  /**
   * @param {Api} api
   * @param {Scans} scans
   */
  constructor(api, scans) {
    this.api = api;
    this.scans = scans;
    /** @type {Map<string, AbortController>} */
    this.running = new Map();
    /** @type {Scan[]} */
    this.line = [];
    this.uploads = 0;
  }

  /**
   * Have a scan's files analysed, from the start.
   *
   * @param {Scan} scan
   */
  start(scan) {
    this.stop(scan);
    this.scans.update(scan, { state: "waiting", sent: 0, note: "", analysis: null, problem: null });
    this.line.push(scan);
    this.advance();
  }

  /**
   * Follow an analysis that the server has already.
   *
   * @param {Scan} scan
   */
  resume(scan) {
    const id = scan.analysis?.id;
    if (!id || isFinal(/** @type {Analysis} */ (scan.analysis).status)) return;
    void this.guard(scan, (signal) => watch(this.api, id, (found) => this.scans.learn(scan, found), signal));
  }

  /**
   * @param {Scan} scan
   */
  async cancel(scan) {
    const id = scan.analysis?.id;
    this.stop(scan);
    if (!id) {
      this.scans.update(scan, { state: "cancelled", note: "" });
      return;
    }
    try {
      this.scans.learn(scan, await this.api.cancel(id));
    } catch (error) {
      this.fail(scan, error);
    }
  }

  /**
   * Take a scan off the page and erase it from the server.
   *
   * @param {Scan} scan
   * @returns {Scan | null} The one now at its place.
   */
  remove(scan) {
    this.stop(scan);
    if (scan.analysis) this.api.erase(scan.analysis.id).catch(() => undefined); // it expires all the same
    return this.scans.remove(scan);
  }

  /**
   * Another series of the same upload, as a scan of its own beside the first.
   *
   * @param {Scan} scan
   * @param {number} number Of the series.
   */
  async otherSeries(scan, number) {
    if (!scan.analysis) return;
    const analysis = await this.api.otherSeries(scan.analysis.id, number);
    const name = `${scan.name.replace(/ · series \d+$/, "")} · series ${number}`;
    const made = this.scans.add(name, { analysis, after: scan });
    this.scans.select(made);
    this.resume(made);
  }

  /** Begin the next uploads, as many as may run. */
  advance() {
    while (this.uploads < MOST_UPLOADS && this.line.length) {
      const scan = /** @type {Scan} */ (this.line.shift());
      this.uploads += 1;
      void this.guard(scan, (signal) => this.upload(scan, signal));
    }
  }

  /**
   * @param {Scan} scan
   * @param {AbortSignal} signal
   */
  async upload(scan, signal) {
    let analysis;
    try {
      analysis = await this.sent(scan, signal);
    } finally {
      this.uploads -= 1;
      this.advance();
    }
    if (!analysis) return;
    this.scans.learn(scan, analysis);
    if (!isFinal(analysis.status)) {
      await watch(this.api, analysis.id, (found) => this.scans.learn(scan, found), signal);
    }
  }

  /**
   * @param {Scan} scan
   * @param {AbortSignal} signal
   * @returns {Promise<Analysis | null>} Null if it was stopped.
   */
  async sent(scan, signal) {
    if (scan.files?.every((file) => file.size === 0)) throw new ProblemError(EMPTY);
    while (!signal.aborted) {
      this.scans.update(scan, { state: "sending", sent: 0, note: "" });
      try {
        return await send(this.api, scan.files ?? [], (share) => this.scans.update(scan, { sent: share }), signal);
      } catch (error) {
        const wait = signal.aborted ? null : delay(error);
        if (!wait) throw error;
        await this.countdown(scan, wait, signal);
      }
    }
    return null;
  }

  /**
   * @param {Scan} scan
   * @param {{seconds: number, reason: string}} wait
   * @param {AbortSignal} signal
   */
  async countdown(scan, { seconds, reason }, signal) {
    for (let left = Math.ceil(seconds); left > 0 && !signal.aborted; left -= 1) {
      this.scans.update(scan, { state: "waiting", note: `${reason} Trying again in ${left} s.` });
      await pause(1000, signal);
    }
  }

  /**
   * Run something for a scan; what goes wrong is told in the scan's place.
   *
   * @param {Scan} scan
   * @param {(signal: AbortSignal) => Promise<void>} job
   */
  async guard(scan, job) {
    const controller = new AbortController();
    this.running.set(scan.key, controller);
    try {
      await job(controller.signal);
    } catch (error) {
      if (!controller.signal.aborted) this.fail(scan, error);
    } finally {
      if (this.running.get(scan.key) === controller) this.running.delete(scan.key);
    }
  }

  /**
   * @param {Scan} scan
   * @param {unknown} error
   */
  fail(scan, error) {
    const detail = error instanceof Error ? error.message : String(error);
    const problem = error instanceof ProblemError ? error.problem : { title: "Error", status: 0, detail };
    this.scans.update(scan, { state: "failed", problem, note: "" });
  }

  /** @param {Scan} scan */
  stop(scan) {
    this.line = this.line.filter((each) => each !== scan);
    this.running.get(scan.key)?.abort();
    this.running.delete(scan.key);
  }
}

/**
 * How long to wait before an upload is tried again, and why; null where that is no use.
 *
 * @param {unknown} error
 * @returns {{seconds: number, reason: string} | null}
 */
function delay(error) {
  if (error instanceof UnreachableError) return { seconds: RETRY_SECONDS, reason: "The server doesn't answer." };
  if (!(error instanceof ProblemError)) return null;
  const seconds = error.retryAfter || RETRY_SECONDS;
  if (error.problem.status === 429) return { seconds, reason: "The server is busy." };
  if (error.problem.status === 503) return { seconds, reason: "The server is stopping or starting." };
  return null;
}
