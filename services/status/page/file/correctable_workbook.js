// A chosen workbook (.xlsx) whose rows are read one by one, and corrected. All that nobody changed stays as it is.
import { attribute, cellsIn, indexOf, lettersOf, rowPlaces, textCell, textIn } from "./sheet_cells.js";
import { openZip } from "./zip.js";

/** What a sheet may unpack to: a browser holds it as one text. */
const LARGEST = 30_000_000;
const KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/** The same as openFile (correctable_file.js) for a sheet. Throws when it is no workbook that we know, or a too large one. */
export async function openWorkbook(file, { sheet, headerRow }, wanted) {
  const zip = await openZip(file);
  const path = await pathOf(zip, sheet);
  if (zip.size(path) > LARGEST) throw new TypeError("too large");
  const xml = await zip.text(path);
  const texts = await sharedTexts(zip);
  const places = await rowPlaces(xml, new Set([...wanted, headerRow, 1]));
  const changes = new Map();

  /** From the column A on, however many stand empty. A row with a formula is null: other cells may depend on it. */
  function cellsOf(row) {
    if (!places.has(row) || places.get(row).xml.includes("<f")) return null;
    const found = cellsIn(places.get(row).xml, texts);
    const cells = Array.from({ length: Math.max(-1, ...[...found.keys()].map(indexOf)) + 1 }, () => "");
    for (const [letters, { text }] of found) cells[indexOf(letters)] = text;
    return cells;
  }

  /** The row with those cells that were changed; the others are what they were, numbers and formulas too. */
  function rewritten(row, cells) {
    const { tag, xml: before } = places.get(row);
    const found = cellsIn(before, texts);
    const written = cells.map((text, index) => {
      const cell = found.get(lettersOf(index));
      return text === (cell?.text ?? "") ? cell?.xml ?? "" : textCell(lettersOf(index), row, text, cell?.style ?? "");
    });
    return `${tag.replace(/\/?>$/, ">").replace(/\sspans="[^"]*"/, "")}${written.join("")}</row>`;
  }

  const first = cellsOf(1) ?? [];
  const header = headerRow === 0 ? first.map((_, index) => lettersOf(index)) : cellsOf(headerRow);
  if (!header) throw new TypeError("no header that can be read");
  return {
    headerRow,
    header: header.map(name => name.trim()),
    first,
    record: async () => null,
    cells: async row => cellsOf(row),
    change: (row, cells) => cells === null ? changes.delete(row) : changes.set(row, rewritten(row, cells)),
    rewrite() {},
    leaveOut: row => changes.set(row, `<row r="${row}"></row>`),
    get changed() { return changes.size; },
    async corrected(name) {
      const parts = [];
      let at = 0;
      for (const row of [...changes.keys()].sort((one, other) => one - other)) {
        parts.push(xml.slice(at, places.get(row).begin), changes.get(row));
        at = places.get(row).end;
      }
      return new File([await zip.replaced(path, parts.join("") + xml.slice(at))], name, { type: KIND });
    },
  };
}

async function pathOf(zip, sheet) {
  const tags = [...(await zip.text("xl/workbook.xml")).matchAll(/<sheet\s[^>]*>/g)].map(([tag]) => tag);
  const id = attribute(tags.find(tag => attribute(tag, "name") === sheet) ?? "", "r:id");
  const relations = [...(await zip.text("xl/_rels/workbook.xml.rels")).matchAll(/<Relationship\s[^>]*>/g)].map(([tag]) => tag);
  const target = attribute(relations.find(tag => attribute(tag, "Id") === id) ?? "", "Target");
  return target.startsWith("/") ? target.slice(1) : `xl/${target}`;
}

async function sharedTexts(zip) {
  const path = "xl/sharedStrings.xml";
  if (!zip.has(path)) return [];
  if (zip.size(path) > LARGEST) throw new TypeError("too large");
  return [...(await zip.text(path)).matchAll(/<si\b[^>]*?(?:\/>|>(.*?)<\/si>)/gs)].map(([, item]) => textIn(item ?? ""));
}
