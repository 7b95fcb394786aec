// @ts-check
/** @import { Analysis } from "./types.js" */
/** @import { Api } from "./api.js" */
import { asProblem, UnreachableError } from "./api.js";

/**
 * Upload the files of one scan.
 *
 * It is an XMLHttpRequest because fetch doesn't tell how much has been sent.
 *
 * @param {Api} api
 * @param {File[]} files
 * @param {(share: number) => void} sent Called with the share of bytes that is through.
 * @param {AbortSignal} signal
 * @returns {Promise<Analysis>}
 * @throws {import("./api.js").ProblemError | UnreachableError}
 */
export async function send(api, files, sent, signal) {
  for (;;) {
    const headers = api.headers();
    const request = await post(api.address("v1/analyses"), headers, files, sent, signal);
    if (request.status === 401) {
      await api.newToken(headers.Authorization);
    } else if (request.status >= 200 && request.status < 300) {
      api.dispatchEvent(new Event("reached"));
      return JSON.parse(request.responseText);
    } else if (request.status === 0) {
      if (!signal.aborted) api.dispatchEvent(new Event("unreachable"));
      throw new UnreachableError();
    } else {
      api.dispatchEvent(new Event("reached"));
      throw asProblem(request.status, request.responseText, request.getResponseHeader("Retry-After"));
    }
  }
}

/**
 * @param {string} address
 * @param {Record<string, string>} headers
 * @param {File[]} files
 * @param {(share: number) => void} sent
 * @param {AbortSignal} signal
 * @returns {Promise<XMLHttpRequest>} Once it is over, one way or another; status 0 without an answer.
 */
function post(address, headers, files, sent, signal) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  const request = new XMLHttpRequest();
  request.open("POST", address);
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable && event.total) sent(event.loaded / event.total);
  });
  const stop = () => request.abort();
  signal.addEventListener("abort", stop, { once: true });
  return new Promise((resolve) => {
    request.addEventListener("loadend", () => {
      signal.removeEventListener("abort", stop);
      resolve(request);
    });
    request.send(form);
  });
}
