// The steps of an upload: files are chosen; each is checked, corrected, confirmed by a person, sent, and becomes a job.
import { UPLOAD, VALIDATE } from "./api.js";
import { sure } from "./dialogs.js";
import { announce, el } from "./elements.js";
import { fieldsOf, newAttempt, whole } from "./upload/attempt.js";
import { fileChoice } from "./upload/file_choice.js";
import * as panels from "./upload/panels.js";
import { postFile } from "./upload/post_file.js";
import { verdictPanel } from "./upload/verdict_panels.js";

const LOST = ["What you have corrected in the page was not checked again. It is lost unless you save the corrected file first."];

/**
 * The card to upload with. `onShow()`: it shows a file or an error; `onAccepted(jobId)`: a file has become a job. Returns
 * { element, take(files), choose(), focus() }; `take` may be handed files that were dropped anywhere, `choose` opens the
 * browser's chooser.
 */
export function uploadCard({ onShow, onAccepted }) {
  const body = el("div", { class: "panel" });
  const chooser = fileChoice(take);
  let attempt = null;
  /** Files that are not begun yet, and the uploads that became jobs, of those that were chosen together. */
  let waiting = [];
  let sent = [];
  let chosen = 0;

  function show(panel) {
    if (attempt && chosen > 1) panel.prepend(el("p", { class: "soft" }, `File ${chosen - waiting.length} of ${chosen}`));
    body.replaceChildren(panel);
    panel.querySelector("h3")?.focus();
  }

  function restart() {
    attempt?.controller.abort();
    [attempt, waiting, sent] = [null, [], []];
    body.replaceChildren(chooser.panel);
  }

  async function take(files) {
    if (attempt?.sending) return announce("One file is being uploaded already. Wait until it has arrived.");
    if (attempt?.isEdited && !await sure("Drop your corrections?", LOST, { yes: "Take the new file", no: "Go on correcting", kind: "danger" })) return;
    restart();
    waiting = [...files];
    chosen = waiting.length;
    next();
  }

  /** The next of the chosen files; after the last one what became of them. */
  function next() {
    attempt?.controller.abort();
    attempt = null;
    const file = waiting.shift();
    if (file) return begin(newAttempt(file));
    const uploads = sent;
    if (uploads.length > 1) return show(panels.allSent(uploads, startAnew));
    startAnew();
    if (uploads.length) onAccepted(uploads[0].jobId);
  }

  function startAnew() {
    restart();
    chooser.focus();
  }

  function begin(mine) {
    attempt?.controller.abort();
    attempt = mine;
    onShow();
    check(mine);
  }

  const again = { choose: chooser.open, cancel: next };

  function showVerdict(mine, verdict) {
    mine.verdict = whole(verdict);
    const check = changes => begin(newAttempt(mine.source, changes));
    show(verdictPanel(mine, mine.verdict, { ...again, send: () => send(mine), check }));
  }

  async function check(mine) {
    const panel = panels.progress(`Checking ${mine.file.name}`, "Nothing is stored yet.");
    show(panel.element);
    await outcome(mine, () => check(mine), async () => showVerdict(mine, await post(mine, VALIDATE, panel, "Checking the rows …")));
  }

  async function send(mine) {
    mine.sending = true;
    const panel = panels.progress(`Uploading ${mine.file.name}`, "Please keep this page open until the file has arrived.");
    show(panel.element);
    let job = null;
    await outcome(mine, () => send(mine), async () => { job = await answered(mine, panel); });
    mine.sending = false;
    if (!job) return;
    sent.push({ name: mine.file.name, jobId: job.job_id });
    next();
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
    return postFile(url, mine.file, { headers, fields: fieldsOf(mine.parameters), onProgress, signal: mine.controller.signal });
  }

  async function outcome(mine, retry, work) {
    try {
      await work();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (problem.status === undefined) throw problem;
      if (problem.document?.errors?.length) showVerdict(mine, { ...mine.verdict, warnings: [], warnings_total: 0, ...problem.document, valid: false });
      else if (problem.isTemporary) show(panels.problem(problem.message, { ...again, retry }));
      else show(panels.problem(problem.message, again));
    }
  }

  // What is being sent, or was corrected and not sent, would be lost.
  addEventListener("beforeunload", event => {
    if (attempt?.sending || attempt?.isEdited || attempt?.isCorrected) event.preventDefault();
  });

  body.append(chooser.panel);
  const element = el("section", { class: "card", "aria-labelledby": "upload-title" },
    el("h2", { id: "upload-title" }, "Upload hospitals"), body);
  /** Focuses the heading of the current step; false when there is none yet. */
  function focus() {
    const step = body.querySelector("h3");
    step?.focus();
    return step !== null;
  }

  return { element, take, choose: chooser.open, focus };
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
