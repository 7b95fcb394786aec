// @ts-check
/** Which files make which scans. */

/**
 * @typedef {object} Dropped  Files that are to be analysed as one scan.
 * @property {string} name
 * @property {File[]} files
 */

/** What is a scan of its own, by the file's name. */
const SINGLE = /\.(png|jpe?g|bmp|tiff?|mat|nii|nii\.gz|gz|zip)$/i;
const DICOM_NAME = /\.(dcm|dicom|ima)$/i;
/** What systems leave in folders. */
const CLUTTER = /^(\.|~\$|thumbs\.db$|desktop\.ini$|__macosx$|dicomdir$)/i;
const DICOM_MARK_AT = 128;

/**
 * Loose files as scans: all DICOM files together are one, every other file is one of its own.
 *
 * @param {File[]} files
 * @returns {Promise<Dropped[]>} In the files' order.
 */
export async function looseScans(files) {
  const kept = files.length > 1 ? files.filter((file) => !CLUTTER.test(file.name)) : files;
  const dicom = await dicomOf(kept);
  /** @type {Dropped[]} */
  const scans = [];
  let series = null;
  for (const file of kept) {
    if (!dicom.has(file)) {
      scans.push({ name: file.name, files: [file] });
    } else if (series) {
      series.files.push(file);
    } else {
      series = { name: file.name, files: [file] };
      scans.push(series);
    }
  }
  if (series && series.files.length > 1) series.name = `${series.files.length} DICOM files`;
  return scans;
}

/**
 * A folder's files as scans: one of its DICOM files or, where it has none, one of each file that can be one.
 *
 * @param {string} name The folder's.
 * @param {File[]} files Of it and the folders within.
 * @returns {Promise<Dropped[]>}
 */
export async function folderScans(name, files) {
  const kept = files.filter((file) => !CLUTTER.test(file.name));
  const dicom = await dicomOf(kept);
  if (dicom.size) return [{ name, files: kept.filter((file) => dicom.has(file)) }];
  const single = kept.filter((file) => SINGLE.test(file.name));
  if (single.length) return single.map((file) => ({ name: file.name, files: [file] }));
  return kept.length ? [{ name, files: kept }] : []; // the server says what it had expected
}

/**
 * Files chosen by a folder input, by the folder that was chosen.
 *
 * @param {File[]} files
 * @returns {Promise<Dropped[]>}
 */
export async function chosenFolder(files) {
  const name = files[0]?.webkitRelativePath.split("/")[0] || "Folder";
  return folderScans(name, files);
}

/**
 * Those that are DICOM by their content, or by their name where the content doesn't say.
 *
 * @param {File[]} files
 * @returns {Promise<Set<File>>}
 */
async function dicomOf(files) {
  const marks = await Promise.all(files.map((file) => isDicom(file)));
  return new Set(files.filter((_, index) => marks[index]));
}

/**
 * @param {File} file
 * @returns {Promise<boolean>}
 */
async function isDicom(file) {
  if (SINGLE.test(file.name)) return false;
  if (DICOM_NAME.test(file.name)) return true;
  try {
    return (await file.slice(DICOM_MARK_AT, DICOM_MARK_AT + 4).text()) === "DICM";
  } catch {
    return false; // it can't be read, which the upload will tell of
  }
}
