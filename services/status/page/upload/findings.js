// Errors or warnings in groups, each row with its cells to be corrected.
import { button, el } from "../elements.js";
import { count, counted } from "../words.js";
import { byKind, isAboutHeader } from "./kinds.js";
import { rowFields, rowOnly } from "./row_fields.js";

/** So many rows of a group are shown at once. */
const PAGE = 20;

/**
 * `left`: how many there are besides, which the service does not list. `opened`: a promise of the file to correct, of null when it
 * cannot be corrected here. Returns an element.
 */
export function findings(problems, left, mapping, opened, onChange) {
  return el("div", { class: "stack findings" },
    byKind(problems).map(([kind, rows]) => group(kind, rows, mapping, opened, onChange)),
    left > 0 && el("p", { class: "notice mixed" }, `${count(left)} more are not listed here. When these are corrected and checked again, the next ones come.`));
}

function group(kind, rows, mapping, opened, onChange) {
  const isAboutRows = rows.some(([row, problems]) => row !== null && !problems.every(isAboutHeader));
  const list = el("ul", { class: "plain wrong-rows" });
  const more = button("", () => show(), "quiet");
  let shown = 0;

  async function show() {
    const next = rows.slice(shown, shown + PAGE);
    const first = shown;
    shown += next.length;
    more.hidden = shown === rows.length;
    more.textContent = `Show ${count(Math.min(PAGE, rows.length - shown))} more of ${counted(rows.length, "row", "rows")}`;
    const file = await opened;
    list.append(...next.map(([row, problems]) => canBeCorrected(file, row)
      ? rowFields(row, problems, file, mapping, onChange) : rowOnly(row, problems)));
    // The button that was pressed has moved on; the keyboard goes on with what came in its place.
    if (first) list.children[first].querySelector("input, textarea, button")?.focus();
  }

  show();
  return el("section", {}, el("h4", {}, kind, isAboutRows && el("span", { class: "soft" }, ` · ${counted(rows.length, "row", "rows")}`)), list, more);
}

const canBeCorrected = (file, row) => file !== null && row !== null && row > file.headerRow;
