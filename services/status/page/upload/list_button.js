// The button that saves all errors and warnings of a file as a CSV.
import { VALIDATE } from "../api.js";
import { button, el, write } from "../elements.js";
import { fileOf, problemList } from "../file/problem_list.js";
import { saveFile } from "../file/save_file.js";
import { messageOf } from "../problem.js";
import { count } from "../words.js";
import { fieldsOf } from "./attempt.js";
import { fetchProblemList } from "./post_file.js";

/** The button, and where it says what it does. Problems that the answer does not list are fetched from the service. */
export function listButton(mine, verdict) {
  const listed = verdict.errors.length + verdict.warnings.length;
  const isCut = verdict.errors_total + verdict.warnings_total > listed;
  const note = el("span", { class: "soft", role: "status" });

  async function save() {
    if (!isCut) return saveFile(problemList(mine.file.name, verdict));
    write(note, "Getting the list …");
    try {
      const whole = await fetchProblemList(VALIDATE, mine.file, fieldsOf(mine.parameters), mine.controller.signal);
      write(note, whole ? "" : `Only the first ${count(listed)} are in it.`);
      saveFile(whole ? fileOf(mine.file.name, whole) : problemList(mine.file.name, verdict));
    } catch (problem) {
      if (problem.name !== "AbortError") write(note, messageOf(problem));
    }
  }

  return [button("Get the list as CSV", save), note];
}
