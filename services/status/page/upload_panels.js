// What the upload card shows at each step of its walk.
import { announce, button, el, scrolling, table, write } from "./elements.js";
import { bytes, counted, duration, hospitals, moment } from "./words.js";

/** A heading that is read out, and where the keyboard goes on from, when the step begins. */
const heading = text => el("h3", { tabindex: "-1" }, text);

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
  const panel = el("div", {},
    input,
    el("label", { class: "drop", for: "file" },
      el("span", { class: "drop-title" }, "Drop a CSV file here"),
      el("span", {}, "or ", el("span", { class: "link" }, "choose a file"))),
    el("p", { class: "soft", id: "file-rules" },
      "The first line names the columns: ", el("strong", {}, "name"), " and ", el("strong", {}, "address"),
      " are required, ", el("strong", {}, "phone"), " is optional. The file is checked before anything is stored."));
  return { panel, open: () => input.click(), focus: () => input.focus() };
}

/** The way of the file to the service, with `reached(share, arrived)` and `say(text)`. */
export function progress(title, note) {
  const fill = el("div", { class: "fill busy" });
  const bar = el("div", { class: "bar", role: "progressbar", "aria-label": title, "aria-valuemin": "0", "aria-valuemax": "100" }, fill);
  const words = el("p", { class: "soft", role: "status" }, note);
  return {
    element: el("div", {}, heading(title), bar, words),
    say: text => write(words, text),
    reached(share, arrived) {
      fill.style.width = `${share * 100}%`;
      bar.setAttribute("aria-valuenow", Math.floor(share * 100));
      write(words, share === 1 ? arrived : note);
      bar.classList.toggle("waiting", share === 1);
    },
  };
}

/** The file is good: how much it is, how long it will take, and whether it was meant. */
export function question(file, verdict, { send, forget, choose }) {
  const same = verdict.same_file_as;
  const size = hospitals(verdict.total_hospitals);
  const time = verdict.estimated_seconds === null ? "" : ` At the usual pace it takes about ${duration(verdict.estimated_seconds)}.`;
  const facts = el("p", {}, el("strong", {}, file.name), ` (${bytes(file.size)}) has ${size} and no errors.${time}`);
  const finality = el("p", { class: "soft" }, "Hospitals that were created cannot be taken back from here.");
  if (same.length) {
    return el("div", {}, heading("Upload the same file again?"), facts, sameFile(same, size), el("div", { class: "buttons" },
      button("No, leave it", forget, "main"), button("Yes, upload it again", send, "danger")));
  }
  return el("div", {}, heading(`Ready to upload ${size}`), facts, finality, el("div", { class: "buttons" },
    button(`Upload ${size}`, send, "main"), button("Choose another file", choose), button("Cancel", forget)));
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
export function errors(file, found, allowsDuplicates, { check, choose, forget }) {
  const many = found.length >= MOST ? `at least ${counted(MOST, "error", "errors")}` : counted(found.length, "error", "errors");
  const rows = found.map(error => [error.row === null ? "File" : String(error.row), error.column ?? "–", error.message]);
  const allow = el("input", { type: "checkbox", id: "allow", checked: allowsDuplicates, onchange: () => check(allow.checked) });
  return el("div", {},
    heading(`${file.name} has ${many}`),
    el("p", {}, "Nothing was stored. Correct the rows below in your spreadsheet, save it as CSV, and choose the file again.",
      found.length >= MOST && ` The first ${counted(MOST, "error", "errors")} are shown.`),
    scrolling("Errors in the file", table("Errors in the file", ["Row", "Column", "What is wrong"], rows)),
    el("p", { class: "check" }, allow, el("label", { for: "allow" }, "Allow rows that are alike: all of them are meant (checks the file again)")),
    el("div", { class: "buttons" }, button("Choose the corrected file", choose, "main"), button("Cancel", forget)));
}

/** It did not work; with `retry` when the same may work later. */
export function trouble(message, { retry, choose, forget }) {
  announce(message);
  return el("div", {},
    heading(retry ? "That did not work yet" : "This file cannot be uploaded"),
    el("p", { class: "notice bad" }, message),
    retry && el("p", { class: "soft" }, "Your file is still chosen. Trying again is safe: it cannot become two uploads."),
    el("div", { class: "buttons" },
      retry && button("Try again", retry, "main"),
      button("Choose another file", choose, retry ? "" : "main"), button("Cancel", forget)));
}
