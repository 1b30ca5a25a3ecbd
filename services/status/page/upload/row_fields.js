// One row with what is wrong about it, and its cells to be corrected.
import { button, el, quoted } from "../elements.js";
import { wordsOf } from "./kinds.js";

/** Records longer than this are corrected elsewhere. */
const LONGEST_RECORD = 2_000;
let ids = 0;

/** A row whose cells cannot be changed here: what is wrong, with the cell's value. */
export function rowOnly(row, problems) {
  return el("li", { class: "wrong-row" }, head(row), messages(problems, `row-${ids += 1}`, true));
}

/**
 * A row of an opened file (file/correctable_file.js). `mapping`: which columns each field was read from, null when it is
 * not known. `onChange()` after each change.
 */
export function rowFields(row, problems, file, mapping, onChange) {
  const described = `row-${ids += 1}`;
  const place = el("fieldset", { class: "fields", "aria-label": `Row ${row}` });
  const leave = button("Leave this row out", () => leaveOut(!element.classList.contains("left-out")), "quiet");
  leave.setAttribute("aria-label", `Leave row ${row} out`);
  leave.setAttribute("aria-pressed", "false");
  const element = el("li", { class: "wrong-row" }, head(row, leave), messages(problems, described, false), place);
  let apply = () => file.change(row, null);

  function leaveOut(out) {
    element.classList.toggle("left-out", out);
    leave.setAttribute("aria-pressed", String(out));
    leave.textContent = out ? "Keep this row" : "Leave this row out";
    place.disabled = out;
    if (out) file.leaveOut(row);
    else apply();
    onChange();
  }

  async function fill() {
    if (problems.some(problem => problem.code === "broken_quotes")) return fillRecord(await file.record(row));
    const cells = await file.cells(row);
    if (cells === null) return element.replaceWith(rowOnly(row, problems));
    const now = [...cells];
    apply = () => file.change(row, now.some((cell, index) => cell !== (cells[index] ?? "")) ? now : null);
    for (const { index, label, isWrong } of columnsToShow(file.header, cells, problems, mapping)) {
      place.append(field(label, cells[index] ?? "", isWrong, described, value => {
        for (let gap = now.length; gap < index; gap += 1) now[gap] = "";
        now[index] = value;
        apply();
        onChange();
      }));
    }
  }

  /** Its cells cannot be told apart: the row as it is written. */
  function fillRecord(record) {
    if (record === null || record.length > LONGEST_RECORD) return;
    let now = record;
    apply = () => now === record ? file.change(row, null) : file.rewrite(row, now);
    place.append(field("The row as it is written", record, true, described, value => {
      now = value;
      apply();
      onChange();
    }));
  }

  fill().catch(() => { /* the file has gone or changed: its errors are told all the same */ });
  return element;
}

function head(row, action = null) {
  return el("div", { class: "row" }, el("h5", {}, row === null ? "The file" : `Row ${row}`), action);
}

function messages(problems, id, withValues) {
  return el("ul", { class: "plain", id }, problems.map(problem => el("li", {},
    problem.column !== null && [el("strong", {}, quoted(problem.column)), ": "], wordsOf(problem),
    withValues && problem.value ? [" ", el("span", { class: "value" }, quoted(problem.value))] : null)));
}

/** What is typed stays one line, unless the cell had several. */
function field(label, value, isWrong, described, onInput) {
  const id = `cell-${ids += 1}`;
  const attributes = { id, spellcheck: "false", autocomplete: "off", "aria-describedby": described, "aria-invalid": isWrong && "true" };
  const input = /[\r\n]/.test(value) ? el("textarea", { ...attributes, rows: 2 }) : el("input", attributes);
  input.value = value;
  input.addEventListener("input", () => {
    input.classList.add("changed");
    onInput(input.value);
  });
  return el("div", {}, el("label", { for: id }, quoted(label)), input);
}

/** The columns that a hospital is made of, those that a problem names, and cells that belong to no column. */
export function columnsToShow(header, cells, problems, mapping) {
  const fields = mapping ? { name: mapping.name, address: mapping.address, phone: mapping.phone } : {};
  const used = new Set(Object.values(fields).flat());
  const wrong = new Set(problems.flatMap(({ column }) => fields[column] ?? (column === null ? [] : [column.trim()])));
  const width = Math.max(header.length, cells.length);
  const columns = Array.from({ length: width }, (_, index) => {
    const title = header[index] ?? "";
    const isExcess = index >= header.length && cells[index].trim() !== "";
    const isWrong = isExcess || wrong.has(title);
    return { index, label: title || `Column ${index + 1}`, isWrong, isShown: isWrong || !mapping || used.has(title) };
  });
  return columns.filter(({ isShown, label }) => isShown && !label.toLowerCase().startsWith("result_"));
}
