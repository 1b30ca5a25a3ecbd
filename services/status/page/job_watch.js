// Watches a job: by its event stream, and by polling where there is none.
import { eventsOf, jobStatus } from "./api.js";
import { isFinal } from "./words.js";

/** Seconds between polls: while rows finish, while none do, in a hidden tab, and at most after errors. */
const POLL = 1;
const IDLE_POLL = 3;
const HIDDEN_POLL = 15;
const LONGEST_RETRY = 15;
/** After so many seconds without an event the job is polled: the stream may hang in a proxy. */
const FIRST_EVENT = 3;
const QUIET = 20;
/** How many seconds after an error a new stream is opened. */
const STREAM_PAUSE = 30;
/** How many seconds a retry may take to begin. */
const START_LIMIT = 20;
const EVENTS = ["progress", "finished"];

/**
 * Calls `onUpdate(job)` for each state, `onLost(problem)` when there is no answer (it keeps trying), and
 * `onGone(problem)` when trying again is of no use. Ends by itself when the job has ended; with `begins` only after the
 * job was seen running again, or after START_LIMIT. Returns a function that ends it.
 */
export function watchJob(jobId, { onUpdate, onLost, onGone }, { begins = false } = {}) {
  const controller = new AbortController();
  const began = performance.now();
  let timer = null;
  let stream = null;
  let streamAt = 0;
  let streaming = false;
  let last = null;
  let failures = 0;
  let awaitingStart = begins;

  async function poll() {
    clearTimeout(timer);
    timer = null;
    try {
      const job = await jobStatus(jobId, controller.signal);
      failures = 0;
      const moved = last?.processed_hospitals !== job.processed_hospitals;
      if (received(job)) return;
      openStream();
      schedule(streaming ? QUIET : stream ? FIRST_EVENT : moved ? POLL : IDLE_POLL);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (problem.status === undefined) throw problem;
      if (!problem.isTemporary) return end(() => onGone(problem));
      onLost(problem);
      failures += 1;
      schedule(Math.max(problem.retryAfter ?? 0, Math.min(LONGEST_RETRY, 2 ** failures)));
    }
  }

  /** Returns whether the job has ended. */
  function received(job) {
    last = { ...last, ...job };
    if (awaitingStart && (!isFinal(last) || performance.now() - began > START_LIMIT * 1000)) awaitingStart = false;
    onUpdate(last);
    if (!isFinal(last) || awaitingStart) return false;
    end();
    return true;
  }

  function openStream() {
    if (stream || awaitingStart || document.hidden || performance.now() < streamAt) return;
    stream = new EventSource(eventsOf(jobId));
    for (const name of EVENTS) stream.addEventListener(name, onEvent);
    stream.addEventListener("error", onStreamError);
  }

  function onEvent(event) {
    streaming = true;
    schedule(QUIET);
    const job = JSON.parse(event.data);
    // An event may hold less than the whole job: the final state is polled.
    if (isFinal(job)) {
      closeStream();
      poll();
    } else {
      received(job);
    }
  }

  /** The browser reconnects by itself, or a new stream is opened later; until then the job is polled. */
  function onStreamError() {
    streaming = false;
    if (stream?.readyState === EventSource.CLOSED) {
      closeStream();
      streamAt = performance.now() + STREAM_PAUSE * 1000;
    }
    schedule(POLL);
  }

  function closeStream() {
    stream?.close();
    [stream, streaming] = [null, false];
  }

  function schedule(seconds) {
    clearTimeout(timer);
    if (!controller.signal.aborted) timer = setTimeout(poll, 1000 * (document.hidden ? HIDDEN_POLL : seconds));
  }

  /** A browser has few connections to one server: hidden tabs keep none of them. */
  function onVisibilityChange() {
    if (document.hidden) closeStream();
    else if (timer !== null) poll();
  }

  function end(after = () => {}) {
    controller.abort();
    clearTimeout(timer);
    closeStream();
    document.removeEventListener("visibilitychange", onVisibilityChange);
    after();
  }

  document.addEventListener("visibilitychange", onVisibilityChange);
  poll();
  return () => end();
}
