// Follows a job by asking again and again. Event streams can take its place: nobody else knows how the news comes.
import { jobStatus } from "./api.js";
import { isFinal } from "./words.js";

const MOVING = 1;
const STILL = 3;
const HIDDEN = 15;
const LOST = 15;

/**
 * Calls `news(job)` for every answer, `lost(problem)` when there is none (it keeps trying), and `gone(problem)` when there
 * never will be one. Ends by itself when the job has. Returns a function that ends it.
 */
export function watchJob(jobId, { news, lost, gone }) {
  const controller = new AbortController();
  let timer = null;
  let before = null;
  let failures = 0;

  async function ask() {
    timer = null;
    try {
      const job = await jobStatus(jobId, controller.signal);
      failures = 0;
      news(job);
      if (isFinal(job)) return;
      again(before === job.processed_hospitals ? STILL : MOVING);
      before = job.processed_hospitals;
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (problem.status === undefined) throw problem;
      if (!problem.passes) return gone(problem);
      lost(problem);
      failures += 1;
      again(Math.max(problem.retryAfter ?? 0, Math.min(LOST, 2 ** failures)));
    }
  }

  function again(seconds) {
    if (!controller.signal.aborted) timer = setTimeout(ask, 1000 * (document.hidden ? HIDDEN : seconds));
  }

  function seen() {
    if (document.hidden || timer === null) return;
    clearTimeout(timer);
    ask();
  }

  document.addEventListener("visibilitychange", seen);
  ask();
  return () => {
    controller.abort();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
}
