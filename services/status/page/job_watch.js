// Follows a job: by its event stream, and by asking again and again where there is none.
import { eventsOf, jobStatus } from "./api.js";
import { isFinal } from "./words.js";

/** Seconds between questions: while no news comes in a stream, while nothing moves, in a hidden tab, after errors. */
const MOVING = 1;
const STILL = 3;
const HIDDEN = 15;
const LOST = 15;
/** A stream that says nothing for so long is checked by a question: it may hang in a proxy. */
const FIRST_NEWS = 3;
const QUIET = 20;
/** How long a broken stream is left alone. */
const BROKEN = 30;
/** How long a step that was asked for may take to begin. */
const BEGINNING = 20;
const EVENTS = ["progress", "finished"];

/**
 * Calls `news(job)` for all that is heard, `lost(problem)` when there is no answer (it keeps trying), and `gone(problem)`
 * when there never will be one. Ends by itself when the job has; with `begins` only once it was seen to run again, or
 * did not for a while. Returns a function that ends it.
 */
export function watchJob(jobId, { news, lost, gone }, { begins = false } = {}) {
  const controller = new AbortController();
  const began = performance.now();
  let timer = null;
  let stream = null;
  let streamAt = 0;
  let tells = false;
  let last = null;
  let failures = 0;
  let awaited = begins;

  async function ask() {
    clearTimeout(timer);
    timer = null;
    try {
      const job = await jobStatus(jobId, controller.signal);
      failures = 0;
      const moved = last?.processed_hospitals !== job.processed_hospitals;
      if (heard(job)) return;
      listen();
      again(tells ? QUIET : stream ? FIRST_NEWS : moved ? MOVING : STILL);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (problem.status === undefined) throw problem;
      if (!problem.passes) return end(() => gone(problem));
      lost(problem);
      failures += 1;
      again(Math.max(problem.retryAfter ?? 0, Math.min(LOST, 2 ** failures)));
    }
  }

  /** Returns whether that was the end. */
  function heard(job) {
    last = { ...last, ...job };
    if (awaited && (!isFinal(last) || performance.now() - began > BEGINNING * 1000)) awaited = false;
    news(last);
    if (!isFinal(last) || awaited) return false;
    end();
    return true;
  }

  function listen() {
    if (stream || awaited || document.hidden || performance.now() < streamAt) return;
    stream = new EventSource(eventsOf(jobId));
    for (const name of EVENTS) stream.addEventListener(name, told);
    stream.addEventListener("error", broken);
  }

  function told(event) {
    tells = true;
    again(QUIET);
    const job = JSON.parse(event.data);
    // What a stream tells may be less than the whole answer: the end is asked for.
    if (isFinal(job)) {
      deaf();
      ask();
    } else {
      heard(job);
    }
  }

  /** It comes back by itself, or another one is opened later; until then questions do. */
  function broken() {
    tells = false;
    if (stream?.readyState === EventSource.CLOSED) {
      deaf();
      streamAt = performance.now() + BROKEN * 1000;
    }
    again(MOVING);
  }

  function deaf() {
    stream?.close();
    [stream, tells] = [null, false];
  }

  function again(seconds) {
    clearTimeout(timer);
    if (!controller.signal.aborted) timer = setTimeout(ask, 1000 * (document.hidden ? HIDDEN : seconds));
  }

  /** A browser has few connections to a place: hidden tabs keep none of them. */
  function seen() {
    if (document.hidden) deaf();
    else if (timer !== null) ask();
  }

  function end(after = () => {}) {
    controller.abort();
    clearTimeout(timer);
    deaf();
    document.removeEventListener("visibilitychange", seen);
    after();
  }

  document.addEventListener("visibilitychange", seen);
  ask();
  return () => end();
}
