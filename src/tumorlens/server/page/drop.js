// @ts-check
/** @import { Dropped } from "./files.js" */
import { chosenFolder, folderScans, looseScans } from "./files.js";

/** While something is dragged over the page, browsers say so several times a second; they don't always say its end. */
const GONE_MS = 1000;

/**
 * Take scans wherever they are dropped on the page, from the clipboard and from file inputs.
 *
 * @param {object} parts
 * @param {HTMLElement} parts.veil Shown while something is dragged over the page.
 * @param {HTMLInputElement} parts.fileInput
 * @param {HTMLInputElement} parts.folderInput
 * @param {(scans: Dropped[]) => void} parts.take
 */
export function acceptScans({ veil, fileInput, folderInput, take }) {
  acceptDrops(veil, take);
  fileInput.addEventListener("change", async () => {
    const files = [...(fileInput.files ?? [])];
    fileInput.value = "";
    take(await looseScans(files));
  });
  folderInput.addEventListener("change", async () => {
    const files = [...(folderInput.files ?? [])];
    folderInput.value = "";
    if (files.length) take(await chosenFolder(files));
  });
  document.addEventListener("paste", async (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    take((await looseScans(files)).map(pasted));
  });
}

/**
 * @param {HTMLElement} veil
 * @param {(scans: Dropped[]) => void} take
 */
function acceptDrops(veil, take) {
  let timer = 0;
  const carriesFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  const hide = () => {
    clearTimeout(timer);
    veil.hidden = true;
  };
  const show = () => {
    hide();
    veil.hidden = false;
    timer = window.setTimeout(hide, GONE_MS);
  };
  document.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    show();
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) hide(); // out of the window
  });
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    show();
  });
  document.addEventListener("drop", async (event) => {
    if (!event.dataTransfer || !carriesFiles(event)) return;
    event.preventDefault();
    hide();
    take(await droppedScans(event.dataTransfer));
  });
}

/**
 * What was dropped, as scans: each folder, and the loose files.
 *
 * @param {DataTransfer} data Readable only until the first `await`.
 * @returns {Promise<Dropped[]>}
 */
async function droppedScans(data) {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const files = [...data.files];
  const folders = entries.filter((entry) => entry?.isDirectory);
  if (!folders.length) return looseScans(files);
  const loose = entries.filter((entry) => entry?.isFile);
  const found = await Promise.all(loose.map((entry) => fileOf(/** @type {FileSystemFileEntry} */ (entry))));
  const scans = await looseScans(found);
  for (const folder of folders) {
    const within = await filesWithin(/** @type {FileSystemDirectoryEntry} */ (folder));
    scans.push(...(await folderScans(/** @type {FileSystemEntry} */ (folder).name, within)));
  }
  return scans;
}

/**
 * @param {FileSystemDirectoryEntry} folder
 * @returns {Promise<File[]>} Its files and those of the folders within.
 */
async function filesWithin(folder) {
  const reader = folder.createReader();
  /** @type {File[]} */
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return found; // it hands them out in parts
    for (const entry of entries) {
      if (entry.isDirectory) found.push(...(await filesWithin(/** @type {FileSystemDirectoryEntry} */ (entry))));
      else found.push(await fileOf(/** @type {FileSystemFileEntry} */ (entry)));
    }
  }
}

/**
 * @param {FileSystemFileEntry} entry
 * @returns {Promise<File>}
 */
function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/**
 * @param {Dropped} scan
 * @returns {Dropped}
 */
function pasted(scan) {
  return /^image\.\w+$/.test(scan.name) ? { ...scan, name: "Pasted picture" } : scan;
}
