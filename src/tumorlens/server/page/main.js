// @ts-check
/** @import { Dropped } from "./files.js" */
/** @import { Scan } from "./types.js" */
import { offerDialog, tellOfModel } from "./about.js";
import { Api } from "./api.js";
import { Compare } from "./compare.js";
import { acceptScans } from "./drop.js";
import { byId } from "./element.js";
import { icon } from "./icons.js";
import { offerKeys } from "./keys.js";
import { List } from "./list.js";
import { Pictures } from "./pictures.js";
import { restore } from "./restore.js";
import { offerSamples } from "./samples.js";
import { Scans } from "./scans.js";
import { Stage } from "./stage.js";
import { announcer, watchServer } from "./status.js";
import { Surface } from "./surface.js";
import { offerThemes } from "./theme.js";
import { tokenAsker } from "./token.js";
import { Work } from "./work.js";
import { spoken, toldBy } from "./wording.js";

const api = new Api(tokenAsker(byId("token-dialog", HTMLDialogElement)));
const scans = new Scans();
const work = new Work(api, scans);
const pictures = new Pictures(api);
const { say, tell } = announcer(byId("said"), byId("note"));
const fileInput = byId("file-input", HTMLInputElement);
const folderInput = byId("folder-input", HTMLInputElement);
/** @type {Compare | null} */
let comparison = null;
/** @type {Set<string>} Analyses whose result was said. */
const told = new Set();
const emptied = () => byId("choose-files").focus();
const list = new List(byId("list", HTMLOListElement), { scans, work, pictures, emptied });

start();

/** Put the page's parts together. */
function start() {
  for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-icon]"))) {
    place.prepend(icon(/** @type {Parameters<typeof icon>[0]} */ (place.dataset.icon)));
  }
  offerThemes(byId("theme", HTMLButtonElement), byId("dark-colors", HTMLLinkElement));
  watchServer(byId("banner"), api);
  new Stage({
    picture: byId("picture"),
    message: byId("message"),
    result: byId("result"),
    scans,
    work,
    surface: new Surface(byId("picture"), "Scan", pictures),
    say,
    tell,
    remove: (scan) => list.remove(scan),
    reopen,
  });
  acceptScans({ veil: byId("veil"), fileInput, folderInput, take });
  offerInputs();
  offerDialog(byId("keys-dialog", HTMLDialogElement), [byId("show-keys")]);
  offerDialog(byId("model-dialog", HTMLDialogElement), [byId("show-model")]);
  offerDialog(byId("token-dialog", HTMLDialogElement), []);
  byId("compare-scans").addEventListener("click", () => (comparison ? stopComparing() : compare()));
  scans.addEventListener("list", layOut);
  scans.addEventListener("select", stopComparing);
  scans.addEventListener("change", (event) => learned(/** @type {CustomEvent<Scan>} */ (event).detail));
  offerShortcuts();
  sayWhereScansGo();
  layOut();
  void restore(api, scans, work);
  void tellOfModel(byId("model"), byId("model-body"), api);
  offerSamples(byId("samples"), api, take).catch(() => undefined); // the page works without them
  requestIdleCallbackOrSoon(() => void import("./viewer/viewer.js").catch(() => undefined));
}

/**
 * List what was dropped or chosen, and begin.
 *
 * @param {Dropped[]} dropped
 */
function take(dropped) {
  const held = byId("first-look").contains(document.activeElement);
  const [first] = dropped.map(({ name, files }) => {
    const scan = scans.add(name, { files });
    work.start(scan);
    return scan;
  });
  if (!first) return;
  scans.select(first);
  if (held) list.focus(first); // what had the focus is hidden now
}

/** @param {Scan} scan */
function learned(scan) {
  byId("compare-scans").hidden = scans.finished.length < 2;
  const analysis = scan.analysis;
  if (scan.state === "done" && analysis?.result && !told.has(analysis.id)) {
    told.add(analysis.id);
    say(spoken(scan.name, analysis.result));
  } else if (scan.state === "failed") {
    say(`${scan.name} was not analysed. ${toldBy(scan.problem?.detail ?? "")}`);
  }
}

/** Show the first look, the scan or the comparison. */
function layOut() {
  const any = scans.list.length > 0;
  if (comparison && scans.finished.length < 2) stopComparing();
  byId("first-look").hidden = any;
  byId("workspace").hidden = !any;
  byId("compare").hidden = !comparison;
  byId("stage").hidden = Boolean(comparison);
  const button = byId("compare-scans");
  button.hidden = scans.finished.length < 2;
  button.setAttribute("aria-pressed", String(Boolean(comparison)));
}

/** Put the scan looked at beside the next one that is done. */
function compare() {
  const finished = scans.finished;
  const left = scans.selected && finished.includes(scans.selected) ? scans.selected : finished[0];
  const right = finished[finished.indexOf(left) + 1] ?? finished.find((scan) => scan !== left);
  if (!left || !right) {
    tell("Two scans that are done are needed to compare.");
    return;
  }
  comparison = new Compare(byId("compare"), { scans, pictures, close: stopComparing });
  layOut();
  comparison.open(left, right);
  byId("compare-title").focus();
}

function stopComparing() {
  if (!comparison) return;
  comparison.dispose();
  comparison = null;
  byId("compare").replaceChildren();
  layOut();
  byId("compare-scans").focus();
}

/** Let every "choose" button open the input it stands for. */
function offerInputs() {
  for (const id of ["choose-files", "add-files"]) byId(id).addEventListener("click", () => fileInput.click());
  for (const id of ["choose-folder", "add-folder"]) byId(id).addEventListener("click", () => folderInput.click());
}

/**
 * A scan whose files are gone with a reload is taken off and chosen anew.
 *
 * @param {Scan} scan
 */
function reopen(scan) {
  fileInput.click();
  fileInput.addEventListener("change", () => work.remove(scan), { once: true });
}

function offerShortcuts() {
  offerKeys(
    {
      "?": () => byId("keys-dialog", HTMLDialogElement).showModal(),
      a: () => fileInput.click(),
      ".": () => scans.move(1),
      ",": () => scans.move(-1),
      s: () => (comparison ? stopComparing() : compare()),
      n: () => document.getElementById("copy-numbers")?.click(),
    },
    byId("keys-on", HTMLInputElement),
  );
}

function sayWhereScansGo() {
  const here = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  byId("where").textContent = here
    ? "Scans stay on this computer, and are erased after a while."
    : `Scans go to ${location.hostname} alone, and are erased there after a while.`;
}

/** @param {() => void} job */
function requestIdleCallbackOrSoon(job) {
  if ("requestIdleCallback" in window) window.requestIdleCallback(job, { timeout: 500 });
  else setTimeout(job, 100);
}
