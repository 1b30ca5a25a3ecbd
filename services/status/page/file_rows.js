// Rows of the chosen file, read here in the browser, so that an error can stand beside what it is about.
// The service decides what is wrong with a file; this only has to count its rows alike (services/ingest/csv_file/records.py).

const DELIMITERS = [",", ";", "\t"];
const REQUIRED = ["name", "address"];
/** A record without end: the service reads no further either. */
const LONGEST = 100_000;
const BEGINNING = 200_000;

/** How names of columns are compared. */
export const folded = text => text.trim().replace(/\s+/g, " ").toLowerCase();

/**
 * The header's cells, and the cells of the wanted rows (numbered as a spreadsheet does, the first is 1) as a map. Reads
 * the file piece by piece, no further than it must.
 */
export async function fileRows(file, wanted, signal) {
  const beginning = new TextDecoder().decode(await file.slice(0, BEGINNING).arrayBuffer());
  const headers = DELIMITERS.map(delimiter => headerOf(beginning, delimiter)).filter(Boolean);
  const [header] = headers.sort((one, other) => other.sense - one.sense || other.cells.length - one.cells.length);
  if (!header) return { header: [], rows: new Map() };
  const rows = new Map();
  const last = Math.max(...wanted);
  const parser = recordParser(header.delimiter, row => wanted.has(row), (row, cells) => rows.set(row, cells));
  const reader = file.stream().pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    signal?.throwIfAborted();
    if (done) parser.end();
    if (done || !parser.read(value) || parser.row > last) break;
  }
  reader.cancel().catch(() => {});
  return { header: header.cells, rows };
}

function headerOf(text, delimiter) {
  let found = null;
  const parser = recordParser(delimiter, () => found === null, (_, cells) => {
    if (found === null && cells.join("").replace(/[\s,;]/g, "")) found = cells;
  });
  parser.read(text);
  parser.end();
  if (!found) return null;
  const names = found.map(folded);
  return { delimiter, cells: found, sense: REQUIRED.filter(name => names.includes(name)).length };
}

/**
 * RFC 4180, any line end; blank records count. `keep(row)`: whether its cells are wanted; then `each(row, cells)`.
 * `read(text)` takes the next piece, and returns false after a record without end.
 */
export function recordParser(delimiter, keep, each) {
  let row = 1;
  let kept = keep(row);
  let cells = [];
  let cell = "";
  let length = 0;
  let quoted = false;
  let closing = false;
  let opening = true;
  let afterReturn = false;

  function endCell() {
    if (kept) cells.push(cell);
    cell = "";
    opening = true;
    closing = false;
  }

  function endRecord() {
    if (length) endCell();
    if (kept) each(row, cells);
    row += 1;
    kept = keep(row);
    [cells, cell, length, opening, closing, quoted] = [[], "", 0, true, false, false];
  }

  function take(sign) {
    length += 1;
    if (quoted) {
      if (sign === '"') [quoted, closing] = [false, true];
      else if (kept) cell += sign;
    } else if (sign === delimiter) {
      endCell();
    } else if (sign === '"' && (opening || closing)) {
      if (closing && kept) cell += sign;
      [quoted, opening, closing] = [true, false, false];
    } else {
      if (kept) cell += sign;
      [opening, closing] = [false, false];
    }
  }

  return {
    get row() { return row; },
    read(text) {
      for (const sign of text) {
        if (!quoted && (sign === "\n" || sign === "\r")) {
          if (!(sign === "\n" && afterReturn)) endRecord();
          afterReturn = sign === "\r";
        } else {
          afterReturn = false;
          take(sign);
          if (length > LONGEST) return false;
        }
      }
      return true;
    },
    end() {
      if (length) endRecord();
    },
  };
}
