// How a list is saved so that it can be read, in the words of the programs.
import { el } from "../elements.js";

const PROGRAMS = [
  ["Excel", "File → Save As → CSV UTF-8 (Comma delimited). Or choose the workbook (.xlsx) here as it is."],
  ["LibreOffice", "File → Save As → Text CSV, tick “Edit filter settings”, then character set Unicode (UTF-8)."],
  ["Google Sheets", "File → Download → Comma-separated values (.csv)."],
];

export function saveHelp() {
  return el("details", {}, el("summary", {}, "How to save a list"),
    el("dl", { class: "programs" }, PROGRAMS.map(([program, words]) => el("div", {}, el("dt", {}, program), el("dd", {}, words)))));
}
