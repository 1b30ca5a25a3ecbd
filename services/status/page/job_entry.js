// One upload in the list.
import { el, quoted, write } from "./elements.js";
import { icon, redraw } from "./icons.js";
import { progressBar } from "./job_progress.js";
import * as words from "./words.js";

/** Returns { element, update(job) }. */
export function jobEntry(job) {
  const mark = icon("clock");
  const chip = el("span", { class: "chip" });
  const numbers = el("span", { class: "numbers" });
  const when = el("time", { datetime: job.created_at });
  const bar = progressBar(`Progress of ${job.file_name}`);
  const element = el("li", {}, el("span", { class: "badge" }, mark),
    el("div", { class: "what" },
      el("a", { class: "name", href: `#/jobs/${encodeURIComponent(job.job_id)}` }, quoted(job.file_name)),
      el("p", { class: "soft" }, numbers, " · ", when)),
    chip, bar.element);
  return {
    element,
    /** `isNamesake`: another upload in the list is called the same. */
    update(now, isNamesake = false) {
      const { word, tone, icon: sign } = words.state(now);
      element.dataset.tone = tone;
      redraw(mark, sign);
      write(chip, word);
      bar.element.hidden = words.isFinal(now);
      bar.update(now);
      write(numbers, summary(now));
      write(when, isNamesake ? words.exactMoment(now.created_at) : words.ago(now.created_at, Date.now()));
    },
  };
}

function summary(job) {
  if (job.outcome === "all_created_after_correction") return `${words.hospitals(job.total_hospitals)} created, ${words.count(job.corrected_hospitals)} after correction`;
  const { created_hospitals: created, unprocessed_hospitals: unsent, total_hospitals: total, corrected_hospitals: corrected } = job;
  const [failed, unknown] = [words.failedForSure(job), words.unconfirmed(job)];
  const done = created === total ? `${words.hospitals(total)} created` : `${words.count(created)} of ${words.hospitals(total)} created`;
  return [done, failed && `${words.count(failed)} failed`, unknown && `${words.count(unknown)} unconfirmed`, unsent && `${words.count(unsent)} not sent`, corrected && `${words.count(corrected)} corrected`, job.corrects && "a correction"].filter(Boolean).join(", ");
}
