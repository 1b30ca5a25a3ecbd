// One job, as it happens.
import { announce, el, write } from "./elements.js";
import { failedRows } from "./failed_rows.js";
import { icon, redraw } from "./icons.js";
import { jobHistory } from "./job_history.js";
import { jobActions } from "./job_actions.js";
import { progressBar, tally } from "./job_progress.js";
import { watchJob } from "./job_watch.js";
import { measuredThroughput } from "./measured_throughput.js";
import { throughputLine } from "./throughput_line.js";
import { resultFiles } from "./result_files.js";
import * as words from "./words.js";

/** `correct()`: a person has a corrected file; `list`: the address of the list. Returns { element, focus(), stop() }. */
export function jobPage(jobId, { correct, list }) {
  const name = el("bdi", {}, "Upload");
  const title = el("h1", { tabindex: "-1", id: "job-title" }, name);
  const facts = el("p", { class: "soft facts" });
  const mark = icon("clock");
  const badge = el("span", { class: "badge" }, mark);
  const chip = el("span", { class: "chip" });
  const headline = el("p", { class: "headline" });
  const numbers = el("p", { class: "numbers" });
  const line = throughputLine();
  const throughput = el("p", { class: "numbers" });
  const bar = progressBar("Progress of the upload");
  const shares = tally();
  const story = el("p", { class: "story" });
  const consequence = el("p", { class: "consequence" });
  const chain = el("p", { class: "chain", hidden: true });
  const waiting = el("p", { class: "notice busy", hidden: true }, el("strong", {}), " ", el("span", {}));
  const refusal = el("p", { class: "notice bad", hidden: true });
  const problemNotice = el("p", { class: "notice bad", hidden: true });
  const actions = jobActions(jobId, begins => watch(begins));
  const failed = failedRows(jobId, { resolved: () => watch(false), correct });
  const files = resultFiles(jobId);
  const past = jobHistory(jobId);
  const card = el("section", { class: "card job", "aria-labelledby": "job-title", hidden: true },
    el("div", { class: "hero" }, badge, el("div", { class: "standing" }, headline, numbers), el("div", { class: "throughput" }, line.element, throughput), chip),
    bar.element, shares.element, waiting, refusal, el("div", { class: "words" }, story, consequence, chain), actions.element);
  const element = el("div", {},
    el("p", { class: "above" }, el("a", { class: "back", href: list }, icon("back"), "All uploads")), title, facts, problemNotice, card, failed.element, files.element, past.element);

  const measure = measuredThroughput();
  const announceMilestone = milestoneAnnouncer();
  let stop = () => {};

  function watch(begins = false) {
    stop();
    stop = watchJob(jobId, { onUpdate: showJob, onLost: showLost, onGone: showGone }, { begins });
  }

  function showJob(job) {
    problemNotice.hidden = true;
    card.hidden = false;
    write(name, job.file_name);
    const { word, tone, icon: sign } = words.state(job);
    write(chip, word);
    card.dataset.tone = tone;
    redraw(mark, sign);
    const final = words.isFinal(job);
    document.title = `${final ? word : words.percent(job.progress_percentage)} – ${job.file_name}`;
    const { now, line: before } = measure(job.processed_hospitals, performance.now());
    write(headline, final ? words.story(job) : words.percent(job.progress_percentage));
    write(numbers, final ? howItWent(job) : `${words.count(job.processed_hospitals)} of ${words.hospitals(job.total_hospitals)}${timeLeft(job)}`);
    write(throughput, final ? "" : rateWords(job, now));
    card.classList.toggle("ended", final);
    line.update(final ? [] : before);
    bar.update(job);
    shares.update(job);
    write(story, final ? "" : words.story(job));
    write(consequence, words.consequence(job) ?? "");
    showReason(job);
    showChain(job);
    past.update(job);
    actions.update(job);
    failed.update(job);
    files.update(job);
    showFacts(job);
    announceMilestone(job);
  }

  function showReason(job) {
    const [reason, comfort] = words.waiting(job);
    waiting.hidden = !reason;
    write(waiting.firstChild, reason);
    write(waiting.lastChild, comfort);
    const refused = words.isFinal(job) && job.outcome !== "none_created" ? job.error : null;
    refusal.hidden = !refused;
    write(refusal, refused ?? "");
  }

  /** The uploads that this one corrects, or that correct it. */
  function showChain({ corrects, corrected_by: correctedBy = [] }) {
    const links = [...corrects ? [["Corrects", corrects]] : [], ...correctedBy.map(jobId => ["Corrected by", jobId])];
    const version = links.join();
    if (chain.dataset.version === version) return;
    chain.dataset.version = version;
    chain.hidden = !links.length;
    chain.replaceChildren(...links.flatMap(([word, jobId]) => [`${word} upload `, el("a", { href: `#/jobs/${encodeURIComponent(jobId)}` }, el("code", {}, jobId)), ". "]));
  }

  function showFacts(job) {
    const text = `Uploaded ${words.moment(job.created_at)} · `;
    if (facts.firstChild?.textContent !== text) facts.replaceChildren(text, el("span", {}, "number ", el("code", {}, job.job_id)));
  }

  function showLost(problem) {
    problemNotice.hidden = false;
    write(problemNotice, `${problem.message} This page keeps trying; the upload goes on meanwhile.`);
  }

  function showGone(problem) {
    card.hidden = true;
    problemNotice.hidden = false;
    document.title = "Not found – Hospital bulk upload";
    write(problemNotice, problem.status === 404 ? "There is no upload with this number. Look for it under All uploads." : problem.message);
    announce(problemNotice.textContent);
  }

  watch();
  return {
    element,
    focus: () => title.focus(),
    stop() {
      stop();
      actions.stop();
      past.stop();
      failed.stop();
    },
  };
}

/** Without the time between rounds, and without rows that were not sent. */
function howItWent(job) {
  const seconds = job.active_seconds ?? job.processing_time_seconds;
  const sent = job.created_hospitals + job.failed_hospitals;
  return seconds && sent ? `Took ${words.duration(seconds)}, ${words.rate(sent / seconds)}` : "";
}

function timeLeft({ eta_seconds: seconds }) {
  if (seconds === null) return "";
  const end = words.until(seconds, Date.now());
  return `, about ${words.duration(seconds)} left${end ? ` (${end})` : ""}`;
}

/** The measured throughput; before it is known, the one expected from the time left, unless the job waits. */
function rateWords(job, measured) {
  const flows = job.eta_seconds && job.processed_hospitals > 0 && job.waiting_for === null;
  const expected = flows ? (job.total_hospitals - job.processed_hospitals) / job.eta_seconds : null;
  const perSecond = measured ?? expected;
  return perSecond ? words.rate(perSecond) : "";
}

/** Announces milestones to screen readers: each quarter, each new reason to wait, the end. Not every number. */
function milestoneAnnouncer() {
  let announced = "";
  return job => {
    const quarter = Math.floor(job.progress_percentage / 25) * 25;
    const final = words.isFinal(job);
    const milestone = [final && job.outcome, job.activated, quarter, job.waiting_for].join();
    if (milestone === announced) return;
    announced = milestone;
    announce(final ? words.story(job) : `${words.percent(quarter)} done. ${words.waiting(job).join(" ")}`.trim());
  };
}
