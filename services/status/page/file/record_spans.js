// Where each record of a CSV file begins and ends, in bytes of UTF-8.
// The service decides what is wrong with a file; this only has to count its rows alike (services/ingest/csv_file/records.py).
import { pauses } from "./pauses.js";

const [LINE_FEED, RETURN, SPACE, QUOTE] = [10, 13, 32, 34];
/** Where in a field it is: at its start, in a plain or a quoted one, after a closing quote, in a broken record. */
const [START, PLAIN, QUOTED, CLOSED, BROKEN] = [0, 1, 2, 3, 4];

/**
 * RFC 4180 with any line end, and a space before a quote; blank records count. `each(row, begin, end)` gets every record,
 * without its line end. `read(bytes)` takes the next piece.
 */
export function spanScanner(delimiter, each) {
  const separator = delimiter.charCodeAt(0);
  let [state, row, begin, at, afterReturn] = [START, 1, 0, 0, false];

  function endLine(byte) {
    if (!(byte === LINE_FEED && afterReturn)) {
      each(row, begin, at);
      row += 1;
    }
    begin = at + 1;
    state = START;
    afterReturn = byte === RETURN;
  }

  function next(byte) {
    if (state === QUOTED) return byte === QUOTE ? CLOSED : QUOTED;
    if (state === BROKEN) return BROKEN;
    if (byte === separator) return START;
    if (state === START) return byte === QUOTE ? QUOTED : byte === SPACE ? START : PLAIN;
    if (state === CLOSED) return byte === QUOTE ? QUOTED : BROKEN;
    return PLAIN;
  }

  return {
    get row() { return row; },
    read(bytes) {
      for (const byte of bytes) {
        if (state !== QUOTED && (byte === LINE_FEED || byte === RETURN)) {
          endLine(byte);
        } else {
          state = next(byte);
          afterReturn = false;
        }
        at += 1;
      }
    },
    end() {
      if (at > begin) each(row, begin, at);
    },
  };
}

/** The places of the wanted rows as a map of [begin, end]. Reads no further than it must, and lets the page live meanwhile. */
export async function findSpans(blob, delimiter, wanted, signal) {
  const spans = new Map();
  const last = Math.max(...wanted);
  const scanner = spanScanner(delimiter, (row, begin, end) => wanted.has(row) && spans.set(row, [begin, end]));
  const reader = blob.stream().getReader();
  const pause = pauses();
  for (;;) {
    const { done, value } = await reader.read();
    signal?.throwIfAborted();
    if (done) scanner.end();
    else scanner.read(value);
    if (done || scanner.row > last) break;
    await pause();
  }
  reader.cancel().catch(() => {});
  return spans;
}
