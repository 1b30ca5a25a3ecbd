// Correcting a file in the page: its rows, opened, and what is done with the corrected file.
import { openFile } from "../file/correctable_file.js";
import { openWorkbook } from "../file/correctable_workbook.js";
import { renamed, saveFile } from "../file/save_file.js";
import { button, write } from "../elements.js";
import { counted } from "../words.js";
import { isAboutHeader } from "./kinds.js";

/** Of a cell that stands beside the letter of its column. */
const LONGEST = 40;

/**
 * `mine`: the attempt (attempt.js); `verdict`: what the service says of its file, with `problems`. `check(file)`: the
 * corrected file is to be checked. Returns { opened, current(), onChange(), isChanged, buttons }: `opened` is a promise of
 * the file, of null when it cannot be corrected here; `current()` promises the file with what was corrected so far.
 */
export function correction(mine, verdict, problems, check) {
  const about = problems.find(isAboutHeader);
  const headerRow = verdict.header_row ?? (about ? about.row ?? 0 : null);
  const opened = headerRow === null ? Promise.resolve(null) : open(mine, verdict, headerRow, problems);
  const again = button("", async () => check(await current()), "main");
  const save = button("Save the corrected file", async () => saveFile(await file.corrected(renamed(mine.file.name, "corrected", verdict.sheet && "xlsx"))));
  let file = null;
  opened.then(it => { file = it; });

  const current = async () => file?.changed ? file.corrected(mine.file.name) : mine.file;

  /** The buttons say what there is to do now. */
  function onChange() {
    mine.isEdited = Boolean(file?.changed);
    again.hidden = save.hidden = !mine.isEdited;
    write(again, `Check again with ${counted(file?.changed ?? 0, "corrected row", "corrected rows")}`);
  }

  onChange();
  return { opened, current, onChange, buttons: { again, save }, get isChanged() { return mine.isEdited; } };
}

/** Null when the browser cannot read it, or it has changed since it was chosen. */
async function open(mine, { encoding, delimiter, sheet }, headerRow, problems) {
  const rows = new Set(problems.map(({ row }) => row).filter(row => row !== null));
  try {
    if (sheet) return await openWorkbook(mine.file, { sheet, headerRow }, rows);
    return await openFile(mine.file, { encoding, delimiter, headerRow }, rows, mine.controller.signal);
  } catch {
    return null;
  }
}

/** The names of all columns: those of the file in its order, else what the service tells of them; each with what the menus say. */
export function columnsOf(verdict, file) {
  if (file?.headerRow === 0) return new Map(file.header.map((letters, index) => [letters, [letters, file.first[index].trim().slice(0, LONGEST)].filter(Boolean).join(": ")]));
  const told = verdict.mapping ? ["name", "address", "phone", "unused"].flatMap(field => verdict.mapping[field]) : [];
  return new Map((file ? file.header.filter(name => name.trim()) : told).map(name => [name, name]));
}
