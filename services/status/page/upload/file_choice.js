// Where files are chosen or dropped.
import { el } from "../elements.js";
import { icon } from "../icons.js";
import { saveHelp } from "./save_help.js";

const KINDS = ".csv,.tsv,.txt,.xlsx,.xls,.ods,text/csv";

/** The drop zone is the label of a real file input: mouse, keyboard and screen readers know what it is. */
export function fileChoice(take) {
  const input = el("input", {
    type: "file", id: "file", class: "unseen", accept: KINDS, multiple: true, "aria-describedby": "file-rules",
    onchange: () => {
      const files = [...input.files];
      input.value = "";
      if (files.length) take(files);
    },
  });
  const panel = el("div", { class: "chooser" },
    el("div", {}, input,
      el("label", { class: "drop", for: "file" },
        icon("up", "big"),
        el("span", { class: "drop-title" }, "Drop your list here"),
        el("span", {}, "or ", el("span", { class: "link" }, "choose a file")),
        el("span", { class: "soft" }, "CSV, Excel or LibreOffice; several are sent one by one"))),
    el("div", { class: "stack", id: "file-rules" },
      el("p", {}, el("strong", {}, "One hospital a row."), " One row names the columns:"),
      sample(),
      el("p", { class: "soft" }, "The phone may be left out; other columns are kept. You see how the file is read before anything is stored."),
      el("p", {}, "An example to fill in: ", el("a", { href: "example.csv", download: "hospitals-example.csv" }, "CSV"), " or ",
        el("a", { href: "example.xlsx", download: "hospitals-example.xlsx" }, "Excel")),
      saveHelp()));
  return { panel, open: () => input.click(), focus: () => input.focus() };
}

function sample() {
  const lines = [["name", "address", "phone"], ["Good Hope", "1 Hope Street", "555-0101"], ["Lakeside", "3 Lake Road", ""]];
  return el("div", { class: "sample", "aria-hidden": "true" }, lines.flat().map((cell, index) => el("span", { class: index < 3 ? "title" : null }, cell)));
}
