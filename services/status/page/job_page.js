// One job, as it happens.
import { activation } from "./activation.js";
import { announce, el, write } from "./elements.js";
import { failedRows } from "./failed_rows.js";
import { progressBar, tally } from "./job_progress.js";
import { watchJob } from "./job_watch.js";
import { measuredPace } from "./measured_pace.js";
import * as words from "./words.js";

/** Returns { element, stop() }. */
export function jobPage(jobId) {
  const title = el("h1", { tabindex: "-1" }, "Upload");
  const chip = el("span", { class: "chip" });
  const bar = progressBar("Progress of the upload");
  const shares = tally();
  const headline = el("p", { class: "headline" });
  const pace = el("p", { class: "soft numbers" });
  const story = el("p", { class: "story" });
  const waiting = el("p", { class: "notice busy", hidden: true });
  const trouble = el("p", { class: "notice bad", hidden: true });
  const facts = el("dl", { class: "facts" });
  const failed = failedRows(jobId);
  const byHand = activation(() => follow());
  const card = el("section", { class: "card", "aria-labelledby": "job-title", hidden: true },
    el("div", { class: "row" }, headline, chip), bar.element, shares.element, pace, waiting, story, byHand.element, facts);
  title.id = "job-title";
  const element = el("div", {}, el("p", {}, el("a", { class: "back", href: "#/" }, "All uploads")), title, trouble, card, failed.element);

  const measure = measuredPace();
  const tell = teller();
  let stop = () => {};

  function follow() {
    stop();
    stop = watchJob(jobId, { news, lost, gone });
  }

  function news(job) {
    trouble.hidden = true;
    card.hidden = false;
    write(title, job.file_name);
    const { word, tone } = words.state(job);
    write(chip, word);
    chip.className = `chip ${tone}`;
    document.title = `${words.isFinal(job) ? word : words.percent(job.progress_percentage)} – ${job.file_name}`;
    write(headline, `${words.count(job.processed_hospitals)} of ${words.hospitals(job.total_hospitals)}, ${words.percent(job.progress_percentage)}`);
    bar.update(job);
    shares.update(job);
    write(pace, paceWords(job, measure(job.processed_hospitals, performance.now())));
    write(story, words.story(job));
    showReason(job);
    byHand.update(job);
    failed.update(job);
    showFacts(job);
    tell(job);
  }

  function showReason(job) {
    const refusal = job.outcome === "all_created" && !job.activated ? job.error : null;
    const reason = refusal ?? words.WAITING[job.waiting_for] ?? null;
    waiting.hidden = reason === null;
    waiting.className = `notice ${refusal ? "bad" : "busy"}`;
    write(waiting, reason ?? "");
  }

  function showFacts(job) {
    const known = [
      ["Uploaded", words.moment(job.created_at)],
      job.completed_at && ["Ended", words.moment(job.completed_at)],
      words.isFinal(job) && job.created_hospitals > 0 && ["In the directory", job.activated ? "active" : "not active"],
      ["Upload number", el("code", {}, job.job_id)],
    ].filter(Boolean);
    const text = known.map(([name, value]) => name + (value.textContent ?? value)).join();
    if (facts.dataset.shown === text) return;
    facts.dataset.shown = text;
    facts.replaceChildren(...known.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  function lost(problem) {
    trouble.hidden = false;
    write(trouble, `${problem.message} This page keeps trying; the upload goes on meanwhile.`);
  }

  function gone(problem) {
    card.hidden = true;
    trouble.hidden = false;
    document.title = "Not found – Hospital bulk upload";
    write(trouble, problem.status === 404 ? "There is no upload with this number. Look for it under All uploads." : problem.message);
    announce(trouble.textContent);
  }

  follow();
  return {
    element,
    focus: () => title.focus(),
    stop() {
      stop();
      failed.stop();
    },
  };
}

function paceWords(job, perSecond) {
  if (words.isFinal(job)) {
    const seconds = job.processing_time_seconds;
    if (!seconds) return "";
    return `Took ${words.duration(seconds)}, ${words.pace(job.processed_hospitals / seconds)}`;
  }
  const left = job.eta_seconds === null ? "" : `About ${words.duration(job.eta_seconds)} left`;
  const rate = perSecond === null ? "" : words.pace(perSecond);
  return [left, rate].filter(Boolean).join(", ");
}

/** Says the milestones aloud: each quarter, each new reason to wait, the end. Not every number. */
function teller() {
  let said = "";
  return job => {
    const quarter = Math.floor(job.progress_percentage / 25) * 25;
    const final = words.isFinal(job);
    const milestone = [final && job.outcome, job.activated, quarter, job.waiting_for].join();
    if (milestone === said) return;
    said = milestone;
    announce(final ? words.story(job) : `${words.percent(quarter)} done. ${words.WAITING[job.waiting_for] ?? ""}`.trim());
  };
}
