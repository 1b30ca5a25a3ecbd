// Errors and warnings as a CSV file.
import { recordOf } from "./cells.js";
import { renamed } from "./save_file.js";

const COLUMNS = ["row", "column", "code", "value", "message"];
/** What a spreadsheet would take for a formula. A phone number is none. */
const FORMULA = /^[=@\t\r]|^[+-](?![\d\s().\/-]*$)/;

/** One problem a line; UTF-8 with its mark. */
export function problemList(name, problems) {
  const cell = value => FORMULA.test(value ?? "") ? `'${value}` : String(value ?? "");
  const lines = problems.map(problem => COLUMNS.map(column => cell(problem[column])));
  const text = [COLUMNS, ...lines].map(cells => `${recordOf(cells, ",")}\r\n`).join("");
  return new File([`\ufeff${text}`], renamed(name, "errors"), { type: "text/csv" });
}
