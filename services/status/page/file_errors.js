// Everything that is wrong with a file: each error beside its row, with the row as the file has it.
import { el, quoted, scrolling } from "./elements.js";
import { fileRows, folded } from "./file_rows.js";

const LABEL = "Errors in the file";

/** The table. The cells of the rows join it as soon as they are read; without them it is complete as well. */
export function fileErrors(file, errors, signal) {
  const byRow = Map.groupBy ? Map.groupBy(errors, error => error.row) : grouped(errors);
  const places = new Map();
  const lines = [...byRow].map(([row, found]) => {
    const place = el("div", { class: "cells-place" });
    places.set(row, place);
    return el("tr", {},
      el("th", { scope: "row" }, row === null ? "File" : String(row)),
      el("td", {}, el("ul", { class: "plain" }, found.map(message)), place));
  });
  fill(file, byRow, places, signal);
  return scrolling(LABEL, el("table", {},
    el("caption", { class: "unseen" }, LABEL),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Row"), el("th", { scope: "col" }, "What is wrong"))),
    el("tbody", {}, lines)));
}

function grouped(errors) {
  const byRow = new Map();
  for (const error of errors) byRow.set(error.row, [...byRow.get(error.row) ?? [], error]);
  return byRow;
}

function message(error) {
  return el("li", {}, error.column !== null && [el("strong", {}, quoted(error.column)), ": "], error.message);
}

async function fill(file, byRow, places, signal) {
  const wanted = new Set([...byRow.keys()].filter(row => row !== null));
  if (!wanted.size) return;
  try {
    const { header, rows } = await fileRows(file, wanted, signal);
    for (const [row, cells] of rows) places.get(row).append(rowCells(header, cells, byRow.get(row)));
  } catch { /* the file has gone or changed: its errors are told all the same */ }
}

/** The row in small, with what is wrong marked. */
function rowCells(header, cells, errors) {
  const wrong = new Set(errors.map(error => error.column === null ? null : folded(error.column)));
  const names = header.length < cells.length ? [...header, ...Array(cells.length - header.length).fill("")] : header;
  return el("dl", { class: "cells" }, names.map((name, index) => {
    const value = cells[index] ?? "";
    const excess = index >= header.length && value.trim();
    const bad = excess || (name && wrong.has(folded(name)));
    return el("div", { class: bad ? "wrong" : null },
      el("dt", {}, name ? quoted(name) : `column ${index + 1}`), el("dd", {}, value.trim() ? quoted(value) : el("i", {}, "empty")));
  }));
}
