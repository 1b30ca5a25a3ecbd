// The steps of an upload: a file is chosen, checked, confirmed by a person, sent, and becomes a job.
import { UPLOAD, VALIDATE } from "./api.js";
import { announce, el } from "./elements.js";
import { postFile } from "./post_file.js";
import * as panels from "./upload_panels.js";

/**
 * The card to upload with. `onShow()`: it shows a file or an error; `onAccepted(jobId)`: the file has become a job. Returns
 * { element, take(file), refuse(message), choose(), focus() }; `take` may be handed a file that was dropped anywhere,
 * `choose` opens the browser's chooser.
 */
export function uploadCard({ onShow, onAccepted }) {
  const body = el("div", { class: "panel" });
  const chooser = panels.chooser(take);
  let attempt = null;

  function show(panel) {
    body.replaceChildren(panel);
    panel.querySelector("h3")?.focus();
  }

  function restart() {
    attempt?.controller.abort();
    attempt = null;
    body.replaceChildren(chooser.panel);
  }

  function cancel() {
    restart();
    chooser.focus();
  }

  async function take(file, allowDuplicates = false) {
    if (attempt?.sending) return announce("One file is being uploaded already. Wait until it has arrived.");
    attempt?.controller.abort();
    attempt = { file, allowDuplicates, key: newKey(), controller: new AbortController(), sending: false };
    onShow();
    await check(attempt);
  }

  const again = { choose: chooser.open, cancel };

  function refuse(message) {
    if (attempt?.sending) return;
    restart();
    onShow();
    show(panels.problem(message, again));
  }

  async function check(mine) {
    const panel = panels.progress(`Checking ${mine.file.name}`, "Nothing is stored yet.");
    show(panel.element);
    await outcome(mine, () => check(mine), async () => {
      const verdict = await post(mine, VALIDATE, panel, "Checking the rows …");
      if (verdict.valid) return show(panels.question(mine.file, verdict, { ...again, send: () => send(mine) }));
      return showErrors(mine, verdict.errors);
    });
  }

  async function send(mine) {
    mine.sending = true;
    addEventListener("beforeunload", warn);
    const panel = panels.progress(`Uploading ${mine.file.name}`, "Please keep this page open until the file has arrived.");
    show(panel.element);
    try {
      await outcome(mine, () => send(mine), async () => {
        const job = await answered(mine, panel);
        restart();
        onAccepted(job.job_id);
      });
    } finally {
      removeEventListener("beforeunload", warn);
      mine.sending = false;
    }
  }

  /** The key stays the same until there is an answer, so however often the file is sent, it becomes one job. */
  async function answered(mine, panel) {
    for (;;) {
      try {
        return await post(mine, UPLOAD, panel, "The file has arrived; its rows are being taken in …", { "Idempotency-Key": mine.key });
      } catch (problem) {
        if (!(problem.status === 409 && problem.type === "in_progress")) throw problem;
        panel.say("The file is still being taken in; asking again …");
        await seconds(problem.retryAfter ?? 1, mine.controller.signal);
      }
    }
  }

  function post(mine, url, panel, arrived, headers = {}) {
    const onProgress = share => panel.showProgress(share, arrived);
    const choice = mine.allowDuplicates ? "?allow_duplicates=true" : "";
    return postFile(url + choice, mine.file, { headers, onProgress, signal: mine.controller.signal });
  }

  async function outcome(mine, retry, work) {
    try {
      await work();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (problem.status === undefined) throw problem;
      if (problem.errors?.length) showErrors(mine, problem.errors);
      else if (problem.isTemporary) show(panels.problem(problem.message, { ...again, retry }));
      else show(panels.problem(problem.message, again));
    }
  }

  function showErrors(mine, errors) {
    show(panels.errors(mine.file, errors, mine.allowDuplicates, mine.controller.signal, { ...again, check: allowed => take(mine.file, allowed) }));
  }

  body.append(chooser.panel);
  const element = el("section", { class: "card", "aria-labelledby": "upload-title" },
    el("h2", { id: "upload-title" }, "Upload hospitals"), body);
  /** Focuses the heading of the current step; false when there is none yet. */
  function focus() {
    const step = body.querySelector("h3");
    step?.focus();
    return step !== null;
  }

  return { element, take, refuse, choose: chooser.open, focus };
}

function warn(event) {
  event.preventDefault();
}

/** Not randomUUID: browsers have it on secure addresses only. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, "0")).join("");
}

function seconds(wait, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, wait * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
