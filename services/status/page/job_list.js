// All uploads, newest first. It keeps itself up to date.
import { jobs } from "./api.js";
import { button, el, write } from "./elements.js";
import { jobEntry } from "./job_entry.js";
import * as words from "./words.js";

const PAGE = 20;
const MOST_AT_ONCE = 200;
const POLL = 3;
const IDLE_POLL = 10;
const HIDDEN_POLL = 60;
/** How long somebody who types is waited for, in ms. */
const TYPING = 250;

/**
 * `chosen`: { q, show }, what is looked for and which of the filters, as an address says it. `onChoice(chosen)`: a person
 * chose anew. Returns { element, stop() }.
 */
export function jobList(chosen, onChoice) {
  const list = el("ul", { class: "jobs" });
  const note = el("p", { class: "soft", id: "jobs-note", role: "status" });
  const more = button("Show older uploads", () => run(older));
  const search = el("input", { type: "search", id: "search", value: chosen.q, autocomplete: "off", placeholder: "file name or number", oninput: typed, "aria-describedby": "jobs-note" });
  const filter = el("select", { id: "filter", onchange: restart },
    el("option", { value: "" }, "All"), Object.entries(words.FILTERS).map(([value, [word]]) => el("option", { value, selected: value === chosen.show }, word)));
  const element = el("section", { class: "card", "aria-labelledby": "jobs-title" },
    el("div", { class: "row" }, el("h2", { id: "jobs-title" }, "Uploads"), el("div", { class: "filters" },
      el("div", {}, el("label", { for: "search" }, "Find"), search),
      el("div", {}, el("label", { for: "filter" }, "Show"), filter))),
    list, note, el("div", { class: "buttons" }, more));
  more.hidden = true;

  let shown = [];
  let total = null;
  let cursor = null;
  let lastProblem = null;
  let timer = null;
  let typing = null;
  let queue = Promise.resolve();
  let controller = new AbortController();
  const entries = new Map();

  /** One request at a time, since each needs the answer before; a new filter cancels older ones. */
  function run(work) {
    const mine = controller;
    queue = queue.then(() => mine.signal.aborted || ask(work, mine));
  }

  async function ask(work, mine) {
    clearTimeout(timer);
    try {
      await work(mine.signal);
      lastProblem = null;
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (problem.status === undefined) reportError(problem);
      lastProblem = problem;
    }
    if (mine.signal.aborted) return;
    draw();
    const pause = document.hidden ? HIDDEN_POLL : shown.every(words.isFinal) ? IDLE_POLL : POLL;
    timer = setTimeout(() => run(refresh), pause * 1000);
  }

  /** The newest again, as many as are shown; what is older than these stays as it was. */
  async function refresh(signal) {
    const limit = Math.min(Math.max(shown.length, PAGE), MOST_AT_ONCE);
    const answer = await jobs({ ...filters(), limit }, signal);
    const fresh = new Set(answer.jobs.map(job => job.job_id));
    const oldest = answer.jobs.at(-1)?.created_at ?? "";
    const rest = answer.next_cursor && shown.length > limit ? shown.filter(job => !fresh.has(job.job_id) && job.created_at < oldest) : [];
    if (!rest.length) cursor = answer.next_cursor;
    [shown, total] = [[...answer.jobs, ...rest], answer.total_jobs];
  }

  async function older(signal) {
    if (cursor === null) return;
    const answer = await jobs({ ...filters(), limit: PAGE, cursor }, signal);
    const known = new Set(shown.map(job => job.job_id));
    [shown, total, cursor] = [[...shown, ...answer.jobs.filter(job => !known.has(job.job_id))], answer.total_jobs, answer.next_cursor];
  }

  const filters = () => ({ q: search.value.trim(), ...words.FILTERS[filter.value]?.[1] });

  function typed() {
    clearTimeout(typing);
    typing = setTimeout(restart, TYPING);
  }

  function restart() {
    clearTimeout(typing);
    onChoice({ q: search.value.trim(), show: filter.value });
    controller.abort();
    controller = new AbortController();
    [shown, total, cursor] = [[], null, null];
    run(refresh);
  }

  function draw() {
    arrange(shown);
    more.hidden = cursor === null;
    write(note, lastProblem ? `${lastProblem.message} This list keeps trying.` : noteWords());
  }

  function noteWords() {
    if (total === null) return "Loading …";
    const q = search.value.trim();
    const [state] = words.FILTERS[filter.value] ?? [];
    if (!total && q) return `No upload is called “${q}”${state ? ` under “${state}”` : ""}.`;
    if (!total && filter.value === "attention") return "No upload needs attention.";
    if (!total) return state ? `No upload is listed under “${state}”.` : "No uploads yet. The first will appear here.";
    return `${words.count(shown.length)} of ${words.counted(total, "upload", "uploads")}${q ? " found" : ""}`;
  }

  /** Entries stay the same elements, so that a focused link stays focused. */
  function arrange(found) {
    const wanted = new Set(found.map(job => job.job_id));
    const names = new Map();
    for (const { file_name: name } of found) names.set(name, (names.get(name) ?? 0) + 1);
    for (const [jobId, entry] of entries) if (!wanted.has(jobId)) { entry.element.remove(); entries.delete(jobId); }
    found.forEach((job, index) => {
      if (!entries.has(job.job_id)) entries.set(job.job_id, jobEntry(job));
      const entry = entries.get(job.job_id);
      entry.update(job, names.get(job.file_name) > 1);
      if (list.children[index] !== entry.element) list.insertBefore(entry.element, list.children[index] ?? null);
    });
  }

  function onVisibilityChange() {
    if (!document.hidden) run(refresh);
  }

  document.addEventListener("visibilitychange", onVisibilityChange);
  draw();
  run(refresh);
  return {
    element,
    stop() {
      document.removeEventListener("visibilitychange", onVisibilityChange);
      controller.abort();
      clearTimeout(timer);
      clearTimeout(typing);
    },
  };
}
