// Errors and warnings as a CSV file, with the columns that the service's own list has.
import { recordOf } from "./cells.js";
import { renamed } from "./save_file.js";

const COLUMNS = ["row", "column", "kind", "code", "message", "value"];
/** What a spreadsheet would take for a formula. A phone number is none. */
const FORMULA = /^[=@\t\r]|^[+-](?![\d\s().\/-]*$)/;

/** The listed problems of an answer, one a line; UTF-8 with its mark. */
export function problemList(name, { errors, warnings }) {
  const cell = value => FORMULA.test(value ?? "") ? `'${value}` : String(value ?? "");
  const problems = [...errors.map(each => ({ ...each, kind: "error" })), ...warnings.map(each => ({ ...each, kind: "warning" }))];
  const lines = problems.map(problem => COLUMNS.map(column => cell(problem[column])));
  const text = [COLUMNS, ...lines].map(cells => `${recordOf(cells, ",")}\r\n`).join("");
  return fileOf(name, `\ufeff${text}`);
}

/** A list that the service has written: a Blob. */
export const fileOf = (name, content) => new File([content], renamed(name, "errors"), { type: "text/csv" });
