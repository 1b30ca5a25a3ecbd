// What the upload card shows at each step.
import { announce, button, el, quoted, write } from "./elements.js";
import { fileErrors } from "./file_errors.js";
import { icon } from "./icons.js";
import { bytes, count, counted, duration, hospitals, moment } from "./words.js";

/** A heading that is read out, and where the keyboard goes on from, when the step begins. */
const heading = (...children) => el("h3", { tabindex: "-1" }, children);

/** The drop zone is the label of a real file input: mouse, keyboard and screen readers know what it is. */
export function chooser(take) {
  const input = el("input", {
    type: "file", id: "file", class: "unseen", accept: ".csv,.txt,.tsv,text/csv", "aria-describedby": "file-rules",
    onchange: () => {
      const [file] = input.files;
      input.value = "";
      if (file) take(file);
    },
  });
  const panel = el("div", { class: "chooser" },
    el("div", {}, input,
      el("label", { class: "drop", for: "file" },
        icon("up", "big"),
        el("span", { class: "drop-title" }, "Drop a CSV file here"),
        el("span", {}, "or ", el("span", { class: "link" }, "choose a file")))),
    el("div", { class: "stack", id: "file-rules" },
      el("p", {}, el("strong", {}, "One hospital a row."), " The first line names the columns:"),
      sample(),
      el("p", { class: "soft" }, "The phone may be left out; other columns are kept. The file is checked before anything is stored."),
      el("p", {}, el("a", { href: "example.csv", download: "hospitals-example.csv" }, "Get an example to fill in"))));
  return { panel, open: () => input.click(), focus: () => input.focus() };
}

function sample() {
  const lines = [["name", "address", "phone"], ["Good Hope", "1 Hope Street", "555-0101"], ["Lakeside", "3 Lake Road", ""]];
  return el("div", { class: "sample", "aria-hidden": "true" }, lines.flat().map((cell, index) => el("span", { class: index < 3 ? "title" : null }, cell)));
}

/** The progress of sending the file, with `showProgress(share, arrived)` and `say(text)`. */
export function progress(title, note) {
  const fill = el("div", { class: "fill busy" });
  const bar = el("div", { class: "bar", role: "progressbar", "aria-label": title, "aria-valuemin": "0", "aria-valuemax": "100" }, fill);
  const words = el("p", { class: "soft", role: "status" }, note);
  return {
    element: el("div", {}, heading(title), bar, words),
    say: text => write(words, text),
    showProgress(share, arrived) {
      fill.style.width = `${share * 100}%`;
      bar.setAttribute("aria-valuenow", Math.floor(share * 100));
      write(words, share === 1 ? arrived : note);
      bar.classList.toggle("waiting", share === 1);
    },
  };
}

/** The file is good: how much it is, how long it will take, and whether it was meant. */
export function question(file, verdict, { send, cancel, choose }) {
  const same = verdict.same_file_as;
  const size = hospitals(verdict.total_hospitals);
  const time = verdict.estimated_seconds;
  const facts = el("div", { class: "stack" },
    el("p", { class: "with-icon" }, icon("file"), el("span", {}, el("strong", {}, quoted(file.name)), ` (${bytes(file.size)})`)),
    el("dl", { class: "tiles" },
      tile("Hospitals", count(verdict.total_hospitals)),
      tile("Errors", "none", "good"),
      time !== null && tile("Takes about", duration(time))));
  const finality = el("p", { class: "soft" }, "There is no undo: hospitals that were created cannot be taken back from here.");
  if (same.length) {
    return el("div", {}, heading("Upload the same file again?"), facts, sameFile(same, size), finality, el("div", { class: "buttons" },
      button("No, leave it", cancel, "main"), button("Yes, upload it again", send, "danger")));
  }
  return el("div", {}, heading(`Ready to upload ${size}`), facts, finality, el("div", { class: "buttons" },
    button(`Upload ${size}`, send, "main"), button("Choose another file", choose), button("Cancel", cancel)));
}

function tile(name, value, kind = "") {
  return el("div", {}, el("dt", {}, name), el("dd", { class: kind }, value));
}

function sameFile(same, size) {
  return el("div", { class: "notice mixed" },
    el("p", {}, el("strong", {}, "Exactly this file was uploaded before. "), `If you upload it again, all ${size} are created a second time.`),
    el("ul", {}, same.slice(0, 5).map(job =>
      el("li", {}, el("a", { href: `#/jobs/${encodeURIComponent(job.job_id)}` }, `Upload of ${moment(job.created_at)}`)))),
    same.length > 5 && el("p", {}, `and ${counted(same.length - 5, "earlier upload", "earlier uploads")}`));
}

const MOST = 1000;

/** Everything that is wrong, with the row that a spreadsheet shows. */
export function errors(file, found, allowsDuplicates, signal, { check, choose, cancel }) {
  const many = found.length >= MOST ? `at least ${counted(MOST, "error", "errors")}` : counted(found.length, "error", "errors");
  const allow = el("input", { type: "checkbox", id: "allow", checked: allowsDuplicates, onchange: () => check(allow.checked) });
  return el("div", {},
    heading(quoted(file.name), ` has ${many}`),
    el("p", {}, "Nothing was stored. Correct these rows in your spreadsheet, save it as CSV, and choose the file again.",
      found.length >= MOST && ` The first ${counted(MOST, "error", "errors")} are shown.`),
    fileErrors(file, found, signal),
    el("p", { class: "check" }, allow, el("label", { for: "allow" }, "Allow rows that are alike: all of them are meant (checks the file again)")),
    el("div", { class: "buttons" }, button("Choose the corrected file", choose, "main"), button("Cancel", cancel)));
}

/** It did not work; with `retry` when the same may work later. */
export function problem(message, { retry, choose, cancel }) {
  announce(message);
  return el("div", {},
    heading(retry ? "That did not work yet" : "This cannot be uploaded"),
    el("p", { class: "notice bad" }, message),
    retry && el("p", { class: "soft" }, "Your file is still chosen. Trying again is safe: it cannot become two uploads."),
    el("div", { class: "buttons" },
      retry && button("Try again", retry, "main"),
      button("Choose another file", choose, retry ? "" : "main"), button("Cancel", cancel)));
}
