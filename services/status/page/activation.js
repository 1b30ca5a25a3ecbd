// Activates by hand the hospitals of a job that were created but not activated.
import { activateBatch } from "./api.js";
import { button, el, write } from "./elements.js";
import { count } from "./words.js";

/** Returns { element, update(job) }; `done()` is called when the directory was asked for every batch. */
export function activation(done) {
  const words = el("p", { class: "soft", role: "status" });
  const press = button("Activate all hospitals", activate, "main");
  const element = el("div", { hidden: true }, el("div", { class: "buttons" }, press), words);
  let batches = [];
  let works = false;

  async function activate() {
    if (works) return;
    works = true;
    press.setAttribute("aria-disabled", "true");
    try {
      write(words, await allOf(batches));
    } catch (problem) {
      if (problem.status === undefined) throw problem;
      write(words, problem.message);
    } finally {
      works = false;
      press.removeAttribute("aria-disabled");
      done();
    }
  }

  async function allOf(ids) {
    let slow = 0;
    for (const [index, batchId] of ids.entries()) {
      write(words, ids.length > 1 ? `Activating part ${count(index + 1)} of ${count(ids.length)} …` : "Activating …");
      const answer = await activateBatch(batchId);
      slow += answer.activated ? 0 : 1;
    }
    return slow ? "The directory takes its time. It goes on by itself; look again in a minute." : "Done.";
  }

  return {
    element,
    update(job) {
      batches = job.batch_ids;
      element.hidden = !(job.outcome === "all_created" && !job.activated);
    },
  };
}
