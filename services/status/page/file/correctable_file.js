// A chosen text file whose rows are read one by one, and corrected. Whatever nobody changed stays byte for byte.
import { asUtf8 } from "./text_encoding.js";
import { cellsOf, recordOf } from "./cells.js";
import { findSpans } from "./record_spans.js";
import { lettersOf } from "./sheet_cells.js";

const SEP_LINE = /^sep=([!-~\t])/i;
const DELIMITERS = [",", ";", "\t"];
const BEGINNING = 200_000;
/** Spreadsheets see by it that the file is UTF-8. */
const MARK = "\ufeff";
/** What nobody sees in a name; the service leaves it out. */
const INVISIBLE = /[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]/g;

/**
 * Finds the `wanted` rows (a Set; the first row of the file is 1). `reading`: { encoding, delimiter, headerRow }, each null
 * when it is not known; `headerRow` 0: there is none. Throws when the browser cannot read the file as text.
 */
export async function openFile(file, { encoding, delimiter, headerRow }, wanted, signal) {
  const text = await asUtf8(file, encoding ?? "utf-8");
  const separator = delimiter ?? await likelyDelimiter(text, headerRow || 1);
  const spans = await findSpans(text, separator, new Set([...wanted, headerRow ?? 1, 1, 2]), signal);
  const recordAt = async row => spans.has(row) ? text.slice(...spans.get(row)).text() : null;
  const cellsAt = async row => cellsOf(await recordAt(row) ?? "", separator);
  // Excel's line that names the delimiter is no row of the list.
  const first = SEP_LINE.test(await recordAt(1) ?? "") ? await cellsAt(2) : await cellsAt(1);
  const changes = new Map();
  return {
    headerRow: headerRow ?? 1,
    /** The names of the columns; without a header the letters of a spreadsheet. */
    header: headerRow === 0 ? first.map((_, index) => lettersOf(index)) : (await cellsAt(headerRow ?? 1)).map(name => name.replace(INVISIBLE, "").trim()),
    first,
    /** The row as it is written; null when the file has no such row. */
    record: recordAt,
    /** A row's cells; null when the file has no such row. */
    async cells(row) {
      const record = await recordAt(row);
      return record === null ? null : cellsOf(record, separator);
    },
    /** `cells` null: the row is as it was. */
    change: (row, cells) => cells === null ? changes.delete(row) : changes.set(row, recordOf(cells, separator)),
    /** The row as somebody has written it anew. */
    rewrite: (row, record) => changes.set(row, record),
    /** It becomes a blank row, so that those below keep their numbers. */
    leaveOut: row => changes.set(row, ""),
    get changed() { return changes.size; },
    /** The file with all changes: CSV, UTF-8 with its mark. */
    async corrected(name) {
      const parts = [MARK];
      let at = 0;
      for (const row of [...changes.keys()].sort((one, other) => one - other)) {
        const [begin, end] = spans.get(row);
        parts.push(text.slice(at, begin), changes.get(row));
        at = end;
      }
      return new File([...parts, text.slice(at)], name, { type: "text/csv" });
    },
  };
}

/** The sign that gives that row the most cells. Excel may name it in the first line. */
async function likelyDelimiter(text, row) {
  const beginning = text.slice(0, BEGINNING);
  const named = (await beginning.slice(0, 10).text()).match(SEP_LINE);
  if (named) return named[1];
  const widths = await Promise.all(DELIMITERS.map(async delimiter => {
    const span = (await findSpans(beginning, delimiter, new Set([row]))).get(row);
    return span ? cellsOf(await beginning.slice(...span).text(), delimiter).length : 0;
  }));
  return DELIMITERS[widths.indexOf(Math.max(...widths))];
}
