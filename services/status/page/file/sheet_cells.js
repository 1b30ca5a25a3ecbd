// The cells of a sheet in the XML of a workbook (.xlsx), by their rows.
import { pauses } from "./pauses.js";

const SIGNS = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

/** What stands between tags, with its signs as they are. */
export const plain = xml => xml.replace(/<!\[CDATA\[(.*?)\]\]>|&(#x?)?(\w+);/gs, (all, literal, number, name) =>
  literal ?? (number ? String.fromCodePoint(number === "#" ? Number(name) : parseInt(name, 16)) : SIGNS[name] ?? all));

const escaped = text => text.replace(/[&<>]/g, sign => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);

/** All texts in it, without those that only tell how a word is pronounced. */
export const textIn = xml => [...xml.replace(/<rPh\b.*?<\/rPh>/gs, "").matchAll(/<t(?:\s[^>]*)?>(.*?)<\/t>/gs)].map(([, text]) => plain(text)).join("");

export const attribute = (tag, name) => plain(tag.match(new RegExp(`\\s${name}="([^"]*)"`))?.[1] ?? "");

/** So many rows are looked at before it may rest. */
const PIECE = 500;

/** Where the wanted rows stand, as a map of { begin, end, tag, xml }. Throws when rows have no numbers. */
export async function rowPlaces(sheet, wanted) {
  const places = new Map();
  const pause = pauses();
  let seen = 0;
  for (const { 0: xml, index } of sheet.matchAll(/<row\b[^>]*?(?:\/>|>.*?<\/row>)/gs)) {
    const tag = xml.slice(0, xml.indexOf(">") + 1);
    const row = Number(tag.match(/\sr="(\d+)"/)?.[1]);
    if (!row) throw new TypeError("rows without numbers");
    if (wanted.has(row)) places.set(row, { begin: index, end: index + xml.length, tag, xml });
    seen += 1;
    if (seen % PIECE === 0) await pause();
  }
  return places;
}

/**
 * The cells of a row's XML as a map from the column's letters to { text, style, xml }. `texts`: those that
 * cells share. Throws when cells have no names.
 */
export function cellsIn(xml, texts) {
  const cells = new Map();
  for (const [all] of xml.matchAll(/<c\b[^>]*?(?:\/>|>.*?<\/c>)/gs)) {
    const tag = all.slice(0, all.indexOf(">") + 1);
    const value = plain(all.match(/<v(?:\s[^>]*)?>(.*?)<\/v>/s)?.[1] ?? "");
    const kind = attribute(tag, "t");
    const text = kind === "s" ? texts[Number(value)] ?? "" : kind === "inlineStr" ? textIn(all)
      : kind === "" || kind === "n" ? numberText(value) : kind === "b" ? (value === "1" ? "TRUE" : "FALSE") : value;
    const letters = attribute(tag, "r").match(/^[A-Z]+/)?.[0];
    if (!letters) throw new TypeError("cells without names");
    cells.set(letters, { text, style: attribute(tag, "s"), xml: all });
  }
  return cells;
}

const numberText = value => value === "" ? "" : Number.isInteger(Number(value)) ? BigInt(Number(value)).toString() : value;

/** A cell that holds a text. */
export function textCell(letters, row, text, style) {
  const look = style && ` s="${style}"`;
  return `<c r="${letters}${row}"${look} t="inlineStr"><is><t xml:space="preserve">${escaped(text)}</t></is></c>`;
}

/** A, B, … Z, AA, … */
export function lettersOf(index) {
  let letters = "";
  for (let left = index + 1; left > 0; left = Math.floor((left - 1) / 26)) letters = String.fromCharCode(65 + (left - 1) % 26) + letters;
  return letters;
}

export function indexOf(letters) {
  return [...letters].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1;
}
