// @ts-check
/** @import { Analysis, Model, Problem, View } from "./types.js" */
import { ofTab } from "./storage.js";

/** Where the page lies; it may be below a prefix of a proxy. */
const BASE = new URL(".", document.baseURI);
const TOKEN = "tumorlens.token";

/** An answer that isn't the one asked for. `problem.detail` is a sentence for a person. */
export class ProblemError extends Error {
  /**
   * @param {Problem} problem
   * @param {number} retryAfter Seconds to wait before asking again; 0 where the server doesn't say.
   */
  constructor(problem, retryAfter = 0) {
    super(problem.detail);
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/** No answer: the server isn't there, or the way to it is cut. */
export class UnreachableError extends Error {
  constructor() {
    super("The server doesn't answer.");
  }
}

/**
 * The server's HTTP interface. Dispatches `unreachable` and `reached`.
 */
export class Api extends EventTarget {
  /** @param {() => Promise<string>} askToken Asks the person for the access token. */
  constructor(askToken) {
    super();
    this.askToken = askToken;
    /** @type {Promise<string> | null} */
    this.asking = null;
  }

  /** Whether a token was needed. */
  get hasToken() {
    return ofTab.get(TOKEN) !== null;
  }

  /**
   * An absolute address below the page's own.
   *
   * @param {string} path
   * @returns {string}
   */
  address(path) {
    return new URL(path, BASE).href;
  }

  /** @returns {Record<string, string>} */
  headers() {
    const token = ofTab.get(TOKEN);
    return token === null ? {} : { Authorization: `Bearer ${token}` };
  }

  /**
   * Ask, with the token; asks the person for one where the server wants it.
   *
   * @param {string} path
   * @param {RequestInit} [options]
   * @returns {Promise<Response>} A good one.
   * @throws {ProblemError | UnreachableError}
   */
  async ask(path, options = {}) {
    const sent = this.headers();
    const response = await this.fetch(path, { ...options, headers: { ...options.headers, ...sent } });
    if (response.status === 401) {
      await this.newToken(sent.Authorization);
      return this.ask(path, options);
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  /**
   * @param {string | undefined} refused What was sent and not accepted.
   * @returns {Promise<void>}
   */
  async newToken(refused) {
    if (this.headers().Authorization !== refused) return; // another request has got a new one meanwhile
    this.asking ??= this.askToken().finally(() => (this.asking = null));
    ofTab.set(TOKEN, await this.asking);
  }

  /**
   * @param {string} path
   * @param {RequestInit} options
   * @returns {Promise<Response>}
   */
  async fetch(path, options) {
    try {
      const response = await fetch(this.address(path), { ...options, credentials: "same-origin" });
      this.dispatchEvent(new Event("reached"));
      return response;
    } catch (error) {
      if (options.signal?.aborted) throw error;
      this.dispatchEvent(new Event("unreachable"));
      throw new UnreachableError();
    }
  }

  /** @returns {Promise<Model[]>} */
  async models() {
    return (await (await this.ask("v1/models")).json()).models;
  }

  /**
   * @param {string} id
   * @param {AbortSignal} [signal]
   * @returns {Promise<Analysis>}
   */
  async analysis(id, signal) {
    return (await this.ask(`v1/analyses/${encodeURIComponent(id)}`, { signal })).json();
  }

  /**
   * @param {string} id
   * @returns {Promise<View>}
   */
  async view(id) {
    return (await this.ask(`v1/analyses/${encodeURIComponent(id)}/view`)).json();
  }

  /**
   * @param {string} id
   * @param {number} index From 0.
   * @param {AbortSignal} [signal]
   * @returns {Promise<ArrayBuffer>}
   */
  async layers(id, index, signal) {
    const path = `v1/analyses/${encodeURIComponent(id)}/view/slices/${index}`;
    return (await this.ask(path, { signal })).arrayBuffer();
  }

  /**
   * @param {string} id
   * @returns {Promise<Analysis>}
   */
  async cancel(id) {
    return (await this.ask(`v1/analyses/${encodeURIComponent(id)}/cancel`, { method: "POST" })).json();
  }

  /**
   * @param {string} id
   * @returns {Promise<unknown>}
   */
  async erase(id) {
    return this.ask(`v1/analyses/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  /**
   * The same upload with another series.
   *
   * @param {string} id
   * @param {number} number Of the series, from 1.
   * @returns {Promise<Analysis>}
   */
  async otherSeries(id, number) {
    const response = await this.ask(`v1/analyses/${encodeURIComponent(id)}/series`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ series: String(number) }),
    });
    return response.json();
  }

  /**
   * @param {string} id
   * @param {string} format
   * @returns {string} A path for `ask` or `address`.
   */
  filePath(id, format) {
    return `v1/analyses/${encodeURIComponent(id)}/files/${encodeURIComponent(format)}`;
  }
}

/**
 * The problem that a bad answer tells of.
 *
 * @param {Response} response
 * @returns {Promise<ProblemError>}
 */
async function problemOf(response) {
  const text = await response.text();
  return asProblem(response.status, text, response.headers.get("Retry-After"));
}

/**
 * @param {number} status
 * @param {string} text The answer.
 * @param {string | null} retryAfter The header.
 * @returns {ProblemError}
 */
export function asProblem(status, text, retryAfter) {
  const seconds = Math.max(0, Number(retryAfter ?? 0)) || 0;
  try {
    const { title, detail } = JSON.parse(text);
    if (typeof detail === "string") return new ProblemError({ title: String(title), status, detail }, seconds);
  } catch {
    // a proxy's own page rather than the server's answer
  }
  const detail = `The server answered with an error (${status}).`;
  return new ProblemError({ title: "Error", status, detail }, seconds);
}
