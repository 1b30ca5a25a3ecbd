// How the file was read: which column is which, in which encoding, from which sheet, and what will be sent.
import { button, el, quoted, scrolling, table } from "../elements.js";
import { count } from "../words.js";
import { encodingMenu, encodingName } from "./encoding_choice.js";
import { isAboutHeader } from "./kinds.js";

const FIELDS = [["name", "Name"], ["address", "Address"], ["phone", "Phone"]];
const DELIMITERS = { ",": "commas", ";": "semicolons", "\t": "tabs" };
/** So many names are listed. */
const MOST = 12;
/** The service takes no later one. */
const LAST_HEADER_ROW = 10_000;
/** No column has this name. */
const NONE = "\u0000";

/**
 * `verdict`: the service's answer; `columns`: the names of all columns, each with what the menus say; `chosen`: the parameters that
 * a person has chosen so far; `isLettered`: no row names the columns. `apply(parameters)`: somebody chose others. Returns an
 * element, null when nothing was read.
 */
export function reading(verdict, columns, chosen, isLettered, apply) {
  const menus = FIELDS.map(([field, title]) => {
    const nothing = isLettered || verdict.mapping || verdict.errors.some(({ column }) => column === field) ? "choose a column" : "found by its name";
    return fieldMenus(field, title, nothing, verdict.mapping?.[field] ?? null, chosen.mapping?.[field] ?? [], columns);
  });
  const choices = [...menus.map(({ element }) => element), ...otherMenus(verdict, chosen)];
  const use = button("Read it this way", () => apply(parameters(form, menus, verdict, chosen, isLettered)), "main");
  const offer = () => { use.hidden = false; };
  use.hidden = true;
  const isHeaderInDoubt = verdict.header_row !== null || Boolean(chosen.header_row) || verdict.errors.some(isAboutHeader);
  const fields = columns.size > 0 ? choices : [];
  const form = el("div", { class: "reading", onchange: offer, oninput: offer }, fields, isHeaderInDoubt && headerRow(verdict, chosen, () => use.click()));
  const said = facts(verdict);
  if (!form.children.length && !said) return null;
  return el("section", { class: "stack", "aria-labelledby": "reading-title" },
    el("h4", { id: "reading-title" }, "How it was read"), said && el("p", { class: "soft" }, said), unused(verdict.mapping?.unused ?? []),
    sample(verdict),
    form.children.length > 0 && el("details", { open: !verdict.sample.length }, el("summary", {}, "Read it another way"), form, el("div", { class: "buttons" }, use)));
}

/**
 * One menu; for the address as many as columns are joined, and one to add another. `before`: the columns that were read, null
 * when it is not known; `wanted`: those that a person has chosen then. `nothing`: what it says when no column is chosen.
 */
function fieldMenus(field, title, nothing, before, wanted, columns) {
  const menus = el("div", { class: "menus" });
  const used = before ?? wanted;

  function add(value) {
    const index = menus.children.length;
    const first = field === "phone" && before ? [] : [el("option", { value: "" }, index ? "and nothing more" : nothing)];
    const none = field === "phone" ? [el("option", { value: NONE, selected: before && !value }, "none")] : [];
    menus.append(el("select", { id: `column-${field}-${index}`, "aria-label": index ? `${title}, column ${index + 1}` : null, onchange: () => field === "address" && grow() },
      first, none, [...columns].map(([column, words]) => el("option", { value: column, selected: column === value }, words))));
  }

  /** Always an empty one at the end, so that another column can be joined. */
  function grow() {
    if (menus.lastChild.value && menus.children.length < columns.size) add("");
  }

  for (const value of used.length ? used : [""]) add(value);
  if (field === "address") grow();
  return {
    field,
    element: el("div", {}, el("label", { for: `column-${field}-0` }, title), menus),
    /** What is chosen now, when it is something else: a list, empty for none. */
    get changed() {
      const values = [...new Set([...menus.children].map(menu => menu.value).filter(Boolean))];
      const chosen = values.filter(value => value !== NONE);
      const isSame = before ? JSON.stringify(chosen) === JSON.stringify(before) : !values.length;
      return isSame ? null : chosen;
    },
  };
}

function otherMenus(verdict, chosen) {
  const menu = (id, title, element) => el("div", {}, el("label", { for: id }, title), el("div", { class: "menus" }, element));
  const sheets = verdict.sheets ?? [];
  return [
    chosen.encoding && menu("encoding", "Letters", encodingMenu("encoding", verdict.encoding)),
    sheets.length > 1 && menu("sheet", "Sheet", el("select", { id: "sheet" },
      sheets.map(sheet => el("option", { value: sheet, selected: sheet === verdict.sheet }, sheet)))),
  ];
}

/** The row that names the columns, as far as there is one. */
const rowOf = (verdict, chosen) => (verdict.header_row ?? chosen.header_row) || null;

/** Where the columns are named: titles may stand above, and one of them may look like a header. */
function headerRow(verdict, chosen, apply) {
  const onkeydown = event => event.key === "Enter" && apply();
  const row = el("input", { id: "header-row", type: "number", min: 1, max: LAST_HEADER_ROW, value: rowOf(verdict, chosen), placeholder: "none", onkeydown });
  return el("div", {}, el("label", { for: "header-row" }, "Row that names the columns"), el("div", { class: "menus" }, row));
}

/** The parameters that the menus say. Columns that nobody touched are left to the service. */
function parameters(form, menus, verdict, chosen, isLettered) {
  const value = id => form.querySelector(`#${id}`)?.value;
  const [encoding, sheet, row] = [value("encoding"), value("sheet"), Number(value("header-row")) || null];
  const changed = menus.filter(menu => menu.changed).map(menu => [menu.field, menu.changed.length ? menu.changed : null]);
  const mapping = { ...chosen.mapping, ...Object.fromEntries(changed) };
  const isOtherSheet = sheet !== undefined && sheet !== verdict.sheet;
  const isOtherRow = row !== rowOf(verdict, chosen);
  return {
    ...chosen,
    ...encoding && { encoding },
    ...sheet && { sheet },
    ...isOtherRow ? { header_row: row } : isLettered && { header_row: 0 },
    // Another sheet has columns of its own, named in a row of its own; so has another row.
    ...isOtherSheet && !isOtherRow && { header_row: null },
    mapping: isOtherSheet || isOtherRow || !Object.keys(mapping).length ? null : mapping,
  };
}

function facts(verdict) {
  const parts = [
    verdict.sheet && `sheet “${verdict.sheet}”`,
    verdict.encoding && `letters: ${encodingName(verdict.encoding)}`,
    verdict.delimiter && `columns separated by ${DELIMITERS[verdict.delimiter] ?? verdict.delimiter}`,
    verdict.header_row === 0 ? "no row names the columns" : verdict.header_row && `the columns are named in row ${verdict.header_row}`,
  ];
  const said = parts.filter(Boolean).join(", ");
  return said && `${said[0].toUpperCase()}${said.slice(1)}.`;
}

function unused(columns) {
  if (!columns.length) return null;
  const more = columns.length > MOST ? ` and ${count(columns.length - MOST)} more` : "";
  return el("p", { class: "soft" }, "Kept, but not sent: ", columns.slice(0, MOST).flatMap((column, index) => [index > 0 && ", ", quoted(column)]), `${more}.`);
}

/** The first hospitals, under the columns that they come from. */
function sample({ sample: rows, mapping }) {
  if (!rows.length) return null;
  const cells = rows.map(({ row, name, address, phone }) => [String(row), quoted(name), quoted(address), phone ? quoted(phone) : el("span", { class: "soft" }, "none")]);
  const titles = FIELDS.map(([field, title]) => [title, el("span", { class: "from" }, quoted(mapping?.[field].join(", ") || "no column"))]);
  const label = "The first hospitals as they will be sent";
  return el("div", { class: "stack" }, el("p", {}, el("strong", {}, label)), scrolling(label, table(label, ["Row", ...titles], cells)));
}
