// A row of which nobody knows whether it became a hospital: a person looks, and says so.
import { resolveRow } from "./api.js";
import { modal } from "./dialogs.js";
import { el, quoted, write } from "./elements.js";
import { wordsOf } from "./problem.js";

/** Asks what the directory holds, and tells the service. Returns whether the row is being settled. */
export function settle(jobId, row) {
  const id = el("input", { id: "hospital-id", autocomplete: "off", spellcheck: "false", "aria-describedby": "settle-trouble" });
  const choice = (value, text, checked) => el("label", { class: "check" },
    el("input", { type: "radio", name: "found", value, checked, onchange: () => { id.disabled = value !== "there"; } }), el("span", {}, text));
  const there = choice("there", "It is in the directory. Its number there is:", true);
  const trouble = el("p", { class: "trouble", id: "settle-trouble", role: "alert" });
  const press = el("button", { type: "submit", class: "main" }, "Settle the row");
  let works = false;
  return modal(`Row ${row.row}: is it in the directory?`, close => [
    el("p", { class: "row-name" }, quoted(row.name)),
    el("p", { class: "notice mixed" }, row.error),
    el("div", { class: "choices", role: "group", "aria-labelledby": "dialog-title" }, there,
      el("div", { class: "under" }, el("label", { class: "unseen", for: "hospital-id" }, "Number in the directory"), id),
      choice("absent", "I looked: it is not there. It may be tried again.", false)),
    trouble,
    el("p", { class: "soft" }, "Your answer counts as the outcome of this row. Who gave it, and when, is recorded."),
    el("div", { class: "buttons" }, press, el("button", { type: "button", onclick: () => close(false) }, "Not now")),
    async () => {
      const found = there.firstChild.checked;
      const number = id.value.trim();
      if (found && !number) {
        write(trouble, "Write the number that the hospital has in the directory.");
        return id.focus();
      }
      if (works) return;
      works = true;
      try {
        await resolveRow(jobId, row.row, found ? { hospital_id: asTheDirectoryHasIt(number) } : { absent: true });
        close(true);
      } catch (problem) {
        write(trouble, wordsOf(problem));
      } finally {
        works = false;
      }
    },
  ]);
}

/** Digits are a number there, anything else is a text. */
const asTheDirectoryHasIt = id => /^(0|[1-9]\d{0,14})$/.test(id) ? Number(id) : id;
