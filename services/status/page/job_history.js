// What has happened to a job: its upload, commands and rounds, with who gave each. Read when somebody opens it.
import { history } from "./api.js";
import { button, el, quoted, scrolling, table } from "./elements.js";
import { count, moment, rowsOf } from "./words.js";

const KINDS = {
  upload: () => "Uploaded",
  cancel: entry => entry.reason === "max_failures" ? "Stopped, since more rows failed than the upload allows" : "Cancelled",
  retry: entry => `Tried again${entry.codes?.length ? `: ${entry.codes.map(rowsOf).join(", ")}` : ""}${entry.ignored ? " (too late: nothing has changed)" : ""}`,
  resolve: entry => `Row ${count(entry.row)} resolved: ${entry.hospital_id === null ? "it is not in the directory" : `it is hospital ${entry.hospital_id}`}`,
  activate: () => "Activation asked for",
  finished: entry => `Round ${count(entry.round)} ended`,
};

/** Returns { element, update(job), stop() }. */
export function jobHistory(jobId) {
  const controller = new AbortController();
  const place = el("div", { class: "stack" });
  const element = el("details", { class: "card history", ontoggle: () => element.open && read() }, el("summary", {}, "What has happened"), place);
  let entries = [];
  let cursor = null;
  let version = null;

  async function read(from = null) {
    try {
      const answer = await history(jobId, from, controller.signal);
      entries = from === null ? answer.entries : [...entries, ...answer.entries];
      cursor = answer.next_cursor;
      draw();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (problem.status === undefined) throw problem;
      place.replaceChildren(el("p", { class: "notice bad", role: "alert" }, problem.message), el("div", { class: "buttons" }, button("Try again", () => read())));
    }
  }

  function draw() {
    const lines = entries.map(entry => [moment(entry.at), [(KINDS[entry.kind] ?? (() => entry.kind))(entry)], [entry.requested_by ? quoted(entry.requested_by) : "the service itself"]]);
    place.replaceChildren(
      scrolling("What has happened, one event a line", table("What has happened to this upload", ["When", "What", "By"], lines)),
      ...cursor ? [el("div", { class: "buttons" }, button("Show more", () => read(cursor)))] : [],
    );
  }

  return {
    element,
    update(job) {
      const now = [job.status, job.outcome, job.activated, job.cancel_requested_at, job.failed_hospitals].join();
      if (now !== version && element.open) read();
      version = now;
    },
    stop: () => controller.abort(),
  };
}
