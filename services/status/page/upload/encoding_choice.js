// The letters of a file can be read in several ways: a person sees the words and chooses.
import { button, el, quoted } from "../elements.js";

/** What spreadsheets save, in words of their users. The command line has the same (client/output/encoding_names.py). */
const NAMES = {
  "utf-8": "UTF-8 (all languages)",
  "windows-1252": "Windows-1252 (Western Europe)",
  "windows-1250": "Windows-1250 (Central Europe)",
  "windows-1251": "Windows-1251 (Cyrillic)",
  "windows-1253": "Windows-1253 (Greek)",
  "windows-1254": "Windows-1254 (Turkish)",
  "windows-1255": "Windows-1255 (Hebrew)",
  "windows-1256": "Windows-1256 (Arabic)",
  "windows-1257": "Windows-1257 (Baltic)",
  "windows-1258": "Windows-1258 (Vietnamese)",
  "windows-874": "Windows-874 (Thai)",
  "iso-8859-15": "ISO 8859-15 (Western Europe)",
  macintosh: "Mac Roman (Western Europe, old Macs)",
  shift_jis: "Shift-JIS (Japanese)",
  "euc-kr": "EUC-KR (Korean)",
  gb18030: "GB 18030 (simplified Chinese)",
  big5: "Big5 (traditional Chinese)",
  "koi8-r": "KOI8-R (Russian)",
  "utf-16": "UTF-16 (all languages)",
  "utf-32": "UTF-32 (all languages)",
};

export const encodingName = encoding => NAMES[encoding] ?? encoding;

/** A menu of all encodings. `current` is chosen, whether we know it or not. */
export function encodingMenu(id, current) {
  const known = current in NAMES ? Object.keys(NAMES) : [current, ...Object.keys(NAMES)];
  return el("select", { id }, known.map(encoding => el("option", { value: encoding, selected: encoding === current }, encodingName(encoding))));
}

/** The guesses as buttons, with the words as they would read, and a menu of the others. */
export function encodingChoice(guesses, choose) {
  const menu = encodingMenu("other-encoding", "windows-1252");
  return el("div", { class: "stack" },
    guesses.length > 0 && el("p", {}, el("strong", {}, "Which of these words read right?"), " Nothing is stored yet."),
    el("div", { class: "guesses" }, guesses.map(({ encoding, sample }) =>
      el("button", { type: "button", onclick: () => choose(encoding) }, el("span", { class: "guess" }, quoted(sample)), el("span", { class: "soft" }, encodingName(encoding))))),
    el("div", { class: "other-way" }, el("label", { for: "other-encoding" }, "Another way"), menu, button("Read it so", () => choose(menu.value))));
}
