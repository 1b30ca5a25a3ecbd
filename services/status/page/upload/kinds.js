// What each kind of error or warning is called, by its code (shared/runtime/http/row_problems.py).

const KINDS = {
  empty_file: "The file is empty",
  no_rows: "There are no rows",
  unknown_encoding: "The letters can be read in several ways",
  wrong_encoding: "The letters cannot be read so",
  html_page: "A web page, not a list",
  json_document: "JSON, not a list",
  unknown_delimiter: "The columns cannot be told apart",
  quoted_lines: "The columns cannot be told apart",
  unknown_sheet: "The sheet is not there",
  protected_workbook: "Protected by a password",
  no_header: "No row names the columns",
  missing_column: "A column was not found",
  ambiguous_column: "More than one column could be meant",
  duplicate_column: "Two columns have the same name",
  unknown_column: "A column was not found",
  too_many_columns: "Too many columns",
  missing_value: "Cells that must be filled",
  invalid_phone: "Not a phone number",
  shortened_phone: "Phone numbers that a spreadsheet has cut",
  shifted_row: "Cells that stand in the wrong column",
  too_many_fields: "More cells than columns",
  too_long: "Too long",
  control_character: "Invisible signs",
  broken_quotes: "Quotes that do not match",
  repeated_header: "The names of the columns once more",
  duplicate_row: "The same hospital twice",
  already_created: "Created before",
  outcome_unknown: "Nobody knows yet what became of it",
  other_job: "Of another upload",
  unused_column: "Columns that are not sent",
  unused_cells: "Columns that are not sent",
  footer: "Lines below the list",
  placeholder: "Stands for a missing value",
  mojibake: "Damaged letters",
  typographic_quotes: "Quotes that stay in the value",
  escaped_quotes: "Backslashes that stay in the value",
  decimal_phone: "Phone numbers that were numbers",
  created_before: "Created by an earlier upload",
  several_jobs: "Rows of several uploads",
};

/** They name the header's row, or a column by it. */
const ABOUT_HEADER = new Set([
  "missing_column", "ambiguous_column", "duplicate_column", "unknown_column", "too_many_columns", "no_header", "unused_column", "unused_cells",
]);

export const isAboutHeader = problem => ABOUT_HEADER.has(problem.code);

/** Its words without the names of parameters, which those need who write programs. */
export const wordsOf = problem => problem.message
  .replace(/ \(`\w+`(, for example \{.*?\})?\)/g, "")
  .replace(/`([^`]+)`/g, "“$1”");

export const kindOf = problem => KINDS[problem.code] ?? "To be corrected";

/** Problems about rows as [[kind, [[row, problems], …]], …]: each row once, under what was found first about it. */
export function byKind(problems) {
  const rows = new Map();
  for (const problem of problems) rows.set(problem.row, [...rows.get(problem.row) ?? [], problem]);
  const kinds = new Map();
  for (const entry of rows) {
    const kind = kindOf(entry[1][0]);
    kinds.set(kind, [...kinds.get(kind) ?? [], entry]);
  }
  return [...kinds];
}
