// The rows of a job that failed, with the reason of each.
import { rows } from "./api.js";
import { button, el, scrolling, table } from "./elements.js";
import { count } from "./words.js";

const PAGE = 50;
const MOST_AT_ONCE = 1000;

/** Returns { element, update(job), stop() }. It reads rows only when the number of failed ones has changed. */
export function failedRows(jobId) {
  const controller = new AbortController();
  const place = el("div", { class: "stack" });
  const element = el("section", { class: "card", "aria-labelledby": "failed-title", hidden: true },
    el("h2", { id: "failed-title" }, "Rows that failed"), place);
  let shown = [];
  let cursor = null;
  let readFor = 0;
  let reading = false;
  let newest = null;

  async function update(job) {
    newest = job;
    element.hidden = job.failed_hospitals === 0;
    if (reading || job.failed_hospitals === readFor) return;
    reading = true;
    const wanted = job.failed_hospitals;
    try {
      // Rows end in any order: a new one may belong between those that are shown.
      const answer = await rows(jobId, { outcome: "failed", limit: Math.min(Math.max(shown.length, PAGE), MOST_AT_ONCE) }, controller.signal);
      readFor = wanted;
      [shown, cursor] = [answer.rows, answer.next_cursor];
      draw();
    } catch (problem) {
      if (problem.status === undefined && problem.name !== "AbortError") throw problem;
      if (problem.name !== "AbortError") draw(problem);
    } finally {
      reading = false;
    }
  }

  async function more() {
    if (reading) return;
    reading = true;
    try {
      const answer = await rows(jobId, { outcome: "failed", limit: PAGE, cursor }, controller.signal);
      const first = shown.length;
      [shown, cursor] = [[...shown, ...answer.rows], answer.next_cursor];
      draw();
      focusRow(first);
    } catch (problem) {
      if (problem.status === undefined && problem.name !== "AbortError") throw problem;
      if (problem.name !== "AbortError") draw(problem);
    } finally {
      reading = false;
    }
  }

  function draw(problem = null) {
    const cells = shown.map(row => [String(row.row), row.name, row.error ?? "No reason was given.", String(row.attempts)]);
    place.replaceChildren(
      el("p", { class: "soft" }, `${count(shown.length)} of ${count(Math.max(readFor, shown.length))} shown. The row is the line number that a spreadsheet shows.`),
      scrolling("The failed rows, one a line", table("The failed rows", ["Row", "Hospital", "Reason", "Attempts"], cells)),
      ...problem ? [el("p", { class: "notice bad", role: "alert" }, problem.message), button("Try again", () => update(newest))] : [],
      ...cursor && !problem ? [el("div", { class: "buttons" }, button("Show more", more))] : [],
    );
  }

  /** The button that was pressed has moved on; the keyboard goes on with what came in its place. */
  function focusRow(index) {
    const row = place.querySelectorAll("tbody tr")[index];
    row?.setAttribute("tabindex", "-1");
    row?.focus();
  }

  return { element, update, stop: () => controller.abort() };
}
