// The letters of a file can be read in several ways: a person sees the words and chooses.
import { button, el, quoted } from "../elements.js";

/** What spreadsheets save, in the words of its users. */
const NAMES = {
  "utf-8": "Unicode (UTF-8)",
  "windows-1252": "Western (Windows)",
  "windows-1250": "Central European (Windows)",
  "windows-1251": "Cyrillic (Windows)",
  "windows-1253": "Greek (Windows)",
  "windows-1254": "Turkish (Windows)",
  "windows-1255": "Hebrew (Windows)",
  "windows-1256": "Arabic (Windows)",
  cp1257: "Baltic (Windows)",
  cp874: "Thai (Windows)",
  "iso-8859-15": "Western (ISO)",
  macintosh: "Western (Mac)",
  shift_jis: "Japanese (Shift-JIS)",
  "euc-kr": "Korean",
  gb18030: "Chinese, simplified",
  big5: "Chinese, traditional",
  "koi8-r": "Cyrillic (KOI8-R)",
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
