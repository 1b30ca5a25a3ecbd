// What a person can do about a job: cancel it, run again what did not work, activate by hand what was created.
import { cancelJob, retryJob } from "./api.js";
import { activateAll } from "./batch_activation.js";
import { sure } from "./dialogs.js";
import { announce, button, el, write } from "./elements.js";
import { messageOf } from "./problem.js";
import { retryChoice } from "./retry_choice.js";
import { count, counted, hospitals, isBeingCancelled, isFinal, isInactive, open, unconfirmed } from "./words.js";

const CANCELLING = "Cancelling: rows that are on their way are waited for.";

/**
 * Returns { element, update(job), stop() }. `done(begins)`: a command was sent, so the job has changed; `begins`
 * when it will run again.
 */
export function jobActions(jobId, done) {
  const cancel = button("Cancel the upload", () => run(askToCancel), "danger");
  const retry = button("", () => run(tryAgain));
  const activate = button("", () => run(askToActivate));
  const choice = retryChoice(jobId, () => write(retry, retryWords(job, choice.codes().length > 0)));
  const words = el("p", { class: "soft", role: "status" });
  const element = el("div", { class: "actions" }, el("div", { class: "buttons" }, activate, choice.element, retry, cancel), words);
  let job = null;
  let busy = false;
  let cancelled = false;
  let stopped = false;

  /** One at a time; a second press while the first works does nothing. */
  async function run(action) {
    if (busy) return;
    busy = true;
    for (const each of [cancel, retry, activate]) each.setAttribute("aria-disabled", "true");
    try {
      await action();
    } catch (problem) {
      say(messageOf(problem));
      done(false);
    } finally {
      busy = false;
      for (const each of [cancel, retry, activate]) each.removeAttribute("aria-disabled");
      update(job);
    }
  }

  const say = text => write(words, text);

  const cancelling = () => cancelled || isBeingCancelled(job);

  async function askToCancel() {
    if (cancelling()) return;
    const created = job.created_hospitals;
    const kept = created
      ? `${created === 1 ? "One hospital is" : `${count(created)} hospitals are`} created already. There is no undo: what was created stays in the directory, not activated.`
      : "No hospital has been created yet.";
    const yes = await sure("Cancel this upload?", ["Rows that were not sent yet will not be sent. Rows on their way are waited for.", kept], {
      yes: "Cancel the upload", no: "Let it go on", kind: "danger",
    });
    if (!yes || isFinal(job)) return;
    await cancelJob(jobId);
    cancelled = true;
    done(false);
  }

  async function tryAgain() {
    say("Asking …");
    while (!await retryAccepted()) {
      if (stopped) return;
    }
    say("");
    announce("The rows run again.");
    done(true);
  }

  /** A job that was just cancelled takes a moment until it can run again. */
  async function retryAccepted() {
    try {
      await retryJob(jobId, choice.codes());
      return true;
    } catch (problem) {
      if (problem.type !== "job_winding_up") throw problem;
      say("The cancelled upload is still ending. The rows are tried again as soon as it has ended …");
      await new Promise(resolve => setTimeout(resolve, 1000 * (problem.retryAfter ?? 5)));
      return false;
    }
  }

  async function askToActivate() {
    const partly = job.outcome !== "all_created";
    const title = `Activate ${hospitals(job.created_hospitals)}?`;
    const why = "Not all rows of this upload became hospitals. Those that did become active in the directory, so that everybody sees them; the others are not touched. Nobody can undo that here.";
    if (partly && !await sure(title, [why], { yes: "Activate", no: "Not now" })) return;
    say(await activateAll(job.batch_ids, say));
    done(false);
  }

  function update(now) {
    job = now;
    const final = isFinal(job);
    if (final) cancelled = false;
    showCancelling(!final && cancelling());
    cancel.hidden = final || job.processed_hospitals >= job.total_hospitals;
    retry.hidden = !final || open(job) === 0;
    choice.update(job, !retry.hidden);
    activate.hidden = !final || !isInactive(job);
    write(retry, retryWords(job, choice.codes().length > 0));
    write(activate, job.outcome === "all_created" ? "Activate all hospitals" : `Activate the ${count(job.created_hospitals)} created`);
    activate.className = job.outcome === "all_created" ? "main" : "";
  }

  /** Until the job has ended, also for who comes later: the service tells them that somebody cancelled it. */
  function showCancelling(runs) {
    write(cancel, runs ? "Cancelling …" : "Cancel the upload");
    if (runs) {
      cancel.setAttribute("aria-disabled", "true");
      say(CANCELLING);
    } else if (words.textContent === CANCELLING) {
      if (!busy) cancel.removeAttribute("aria-disabled");
      say("");
    }
  }

  return { element, update, stop: () => { stopped = true; } };
}

function retryWords(job, isChosen) {
  const { failed_hospitals: failed, unprocessed_hospitals: unsent } = job;
  if (isChosen) return "Try the chosen rows again";
  if (job.corrected_hospitals || unconfirmed(job)) return `Try ${counted(open(job), "open row", "open rows")} again`;
  if (!unsent) return `Try ${counted(failed, "failed row", "failed rows")} again`;
  return failed ? `Try ${count(failed)} failed and ${count(unsent)} unsent again` : `Send the ${counted(unsent, "unsent row", "unsent rows")}`;
}
