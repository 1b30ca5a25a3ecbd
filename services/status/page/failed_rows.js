// The rows of a job that failed, with the reason of each.
import { rows } from "./api.js";
import { button, el, quoted, scrolling, table } from "./elements.js";
import { resolve } from "./row_resolving.js";
import { count, counted, isFinal, open } from "./words.js";

const PAGE = 50;
const MOST_AT_ONCE = 1000;
/** How often, and for how many seconds each, it looks whether a resolved row has changed. */
const LOOKS = [0.5, 1, 1, 2, 2, 3, 5, 5];

/** Rows are read again when this changes. */
const versionOf = job => [job.failed_hospitals, job.unknown_hospitals, job.corrected_hospitals, job.completed_at].join();

/**
 * Returns { element, update(job), stop() }. It reads rows only when there is something new.
 * `resolved()`: a person resolved a row. `correct()`: a person has a corrected file.
 */
export function failedRows(jobId, { resolved, correct }) {
  const controller = new AbortController();
  const place = el("div", { class: "stack" });
  const advice = el("div", { class: "stack" },
    el("p", {}, "Is something wrong with a row? Download ", el("strong", {}, "failed.csv"), " below, correct it, and upload it as it is. Was the directory at fault? Try the rows again."),
    el("div", { class: "buttons" }, button("Upload the corrected file", correct)));
  const element = el("section", { class: "card", "aria-labelledby": "failed-title", hidden: true },
    el("h2", { id: "failed-title", tabindex: "-1" }, "Rows that failed"), place, advice);
  const resolving = new Set();
  let shown = [];
  let cursor = null;
  let total = 0;
  let readFor = null;
  let reading = false;
  let newest = null;

  function update(job) {
    newest = job;
    element.hidden = job.failed_hospitals === 0;
    advice.hidden = !isFinal(job) || open(job) === 0;
    if (!element.hidden && versionOf(job) !== readFor) read();
  }

  /** From the first on, as many as are shown: rows end in any order, so a new one may belong between them. */
  const read = () => once(async () => {
    const wanted = newest;
    const answer = await rows(jobId, { outcome: "failed", limit: Math.min(Math.max(shown.length, PAGE), MOST_AT_ONCE) }, controller.signal);
    [readFor, total, shown, cursor] = [versionOf(wanted), wanted.failed_hospitals, answer.rows, answer.next_cursor];
    draw();
  });

  const more = () => once(async () => {
    const answer = await rows(jobId, { outcome: "failed", limit: PAGE, cursor }, controller.signal);
    const first = shown.length;
    [shown, cursor] = [[...shown, ...answer.rows], answer.next_cursor];
    draw();
    focusRow(first);
  });

  async function once(work) {
    if (reading) return;
    reading = true;
    try {
      await work();
    } catch (problem) {
      if (problem.status === undefined && problem.name !== "AbortError") throw problem;
      if (problem.name !== "AbortError") draw(problem);
    } finally {
      reading = false;
    }
  }

  async function resolveRow(row) {
    if (!await resolve(jobId, row)) return;
    resolving.add(row.row);
    draw();
    element.querySelector("h2").focus();
    for (const seconds of LOOKS) {
      await new Promise(done => setTimeout(done, 1000 * seconds));
      if (controller.signal.aborted) return;
      await read();
      const now = shown.find(each => each.row === row.row);
      if (!now || now.error !== row.error) break;
    }
    resolving.delete(row.row);
    draw();
    resolved();
  }

  function draw(problem = null) {
    const unknown = Math.max(newest.unknown_hospitals, shown.filter(row => row.outcome_unknown).length);
    place.replaceChildren(
      el("p", { class: "soft" }, `${count(shown.length)} of ${count(Math.max(total, shown.length))} shown. The row is the line number that a spreadsheet shows.`),
      ...unknown ? [el("p", { class: "notice mixed" }, el("strong", {}, `${counted(unknown, "row is", "rows are")} unconfirmed. `), `The directory gave no clear answer. Look there, and resolve ${unknown === 1 ? "it" : "them"} here, before you upload failed.csv again.`)] : [],
      scrolling("The failed rows, one a line", table("The failed rows", ["Row", "Hospital and reason"], shown.map(cells))),
      ...problem ? [el("p", { class: "notice bad", role: "alert" }, problem.message), el("div", { class: "buttons" }, button("Try again", read))] : [],
      ...cursor && !problem ? [el("div", { class: "buttons" }, button("Show more", more))] : [],
    );
  }

  function cells(row) {
    const reason = el("span", {}, row.error === null ? "No reason was given." : quoted(row.error));
    const isUnconfirmed = row.outcome_unknown && !resolving.has(row.row);
    const answer = resolving.has(row.row) ? el("p", { class: "soft" }, "Being resolved …") : isUnconfirmed && button("Resolve", () => resolveRow(row), "small");
    if (isUnconfirmed) answer.setAttribute("aria-label", `Resolve row ${row.row}`);
    const corrected = row.corrected && el("span", { class: "soft" }, "stands in a correction");
    const often = row.attempts > 1 && el("span", { class: "soft" }, `after ${count(row.attempts)} attempts`);
    return [String(row.row), [el("p", { class: "row-name" }, quoted(row.name)), el("div", { class: "reason" }, reason, often, corrected, answer)]];
  }

  /** The button that was pressed has moved on; the keyboard goes on with what came in its place. */
  function focusRow(index) {
    const row = place.querySelectorAll("tbody tr")[index];
    row?.setAttribute("tabindex", "-1");
    row?.focus();
  }

  return { element, update, stop: () => controller.abort() };
}
