// A record as cells, and cells as a record. Pure.

/** The cells of one record. A broken one has its last cell as it is written. */
export function cellsOf(record, delimiter) {
  const cells = [];
  let at = 0;
  for (;;) {
    const [cell, end] = cellAt(record, at, delimiter);
    cells.push(cell);
    if (end >= record.length) return cells;
    at = end + 1;
    if (at === record.length) return [...cells, ""];
  }
}

/** The cell that begins there, and where it ends. */
function cellAt(record, begin, delimiter) {
  let at = begin;
  while (record[at] === " ") at += 1;
  if (record[at] !== '"') {
    const end = record.indexOf(delimiter, begin);
    return end < 0 ? [record.slice(begin), record.length] : [record.slice(begin, end), end];
  }
  let cell = "";
  for (let from = at + 1; ;) {
    const end = record.indexOf('"', from);
    if (end < 0) return [record.slice(begin), record.length];
    cell += record.slice(from, end);
    const after = record[end + 1];
    if (after === undefined || after === delimiter) return [cell, end + 1];
    if (after !== '"') return [record.slice(begin), record.length];
    cell += '"';
    from = end + 2;
  }
}

/** Quoted where it has to be. */
export const recordOf = (cells, delimiter) => cells.map(cell => written(cell, delimiter)).join(delimiter);

function written(cell, delimiter) {
  const needsQuotes = cell.includes(delimiter) || /["\r\n]|^\s|\s$/.test(cell);
  return needsQuotes ? `"${cell.replaceAll('"', '""')}"` : cell;
}
