// Resolves a row whose outcome is unknown: a person looks into the directory and answers.
import { resolveRow } from "./api.js";
import { modal } from "./dialogs.js";
import { el, quoted, write } from "./elements.js";
import { messageOf } from "./problem.js";

/** Asks what the directory holds, and tells the service. Returns whether the row is being resolved. */
export function resolve(jobId, row) {
  const id = el("input", { id: "hospital-id", autocomplete: "off", spellcheck: "false", "aria-describedby": "resolve-problem" });
  const choice = (value, text, checked) => el("label", { class: "check" },
    el("input", { type: "radio", name: "found", value, checked, onchange: () => { id.disabled = value !== "there"; } }), el("span", {}, text));
  const there = choice("there", "It is in the directory. Its number there is:", true);
  const problemText = el("p", { class: "problem", id: "resolve-problem", role: "alert" });
  const submit = el("button", { type: "submit", class: "main" }, "Resolve the row");
  let busy = false;
  return modal(`Row ${row.row}: is it in the directory?`, close => [
    el("p", { class: "row-name" }, quoted(row.name)),
    el("p", { class: "notice mixed" }, row.error),
    el("div", { class: "choices", role: "group", "aria-labelledby": "dialog-title" }, there,
      el("div", { class: "under" }, el("label", { class: "unseen", for: "hospital-id" }, "Number in the directory"), id),
      choice("absent", "I looked: it is not there. It may be tried again.", false)),
    problemText,
    el("p", { class: "soft" }, "Your answer counts as the outcome of this row. Who gave it, and when, is recorded."),
    el("div", { class: "buttons" }, submit, el("button", { type: "button", onclick: () => close(false) }, "Not now")),
    async () => {
      const found = there.firstChild.checked;
      const number = id.value.trim();
      if (found && !number) {
        write(problemText, "Write the number that the hospital has in the directory.");
        return id.focus();
      }
      if (busy) return;
      busy = true;
      try {
        await resolveRow(jobId, row.row, found ? { hospital_id: directoryId(number) } : { absent: true });
        close(true);
      } catch (problem) {
        write(problemText, messageOf(problem));
      } finally {
        busy = false;
      }
    },
  ]);
}

/** Digits are a number there, anything else is a text. */
const directoryId = id => /^(0|[1-9]\d{0,14})$/.test(id) ? Number(id) : id;
