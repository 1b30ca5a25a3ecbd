// Which rows run again: all that are open, or those that failed for one reason.
import { failures } from "./api.js";
import { el } from "./elements.js";
import { count, failure } from "./words.js";

/** Returns { element, update(job, isWanted), codes() }. It is hidden while there is nothing to choose between. */
export function retryChoice(jobId, onChange) {
  const select = el("select", { "aria-label": "Which rows to try again", onchange: onChange });
  const element = el("span", { hidden: true }, select);
  let readFor = null;

  async function read(version) {
    let found;
    try {
      found = (await failures(jobId)).failures;
    } catch (problem) {
      if (problem.status === undefined) throw problem;
      found = [];  // an earlier service does not tell: all rows run again
    }
    if (version !== readFor) return;
    const all = found.reduce((sum, each) => sum + each.hospitals, 0);
    select.replaceChildren(el("option", { value: "" }, `all ${count(all)} rows`), ...found.map(each => el("option", { value: each.code }, failure(each))));
    element.hidden = found.length < 2;
  }

  return {
    element,
    codes: () => (element.hidden || !select.value ? [] : [select.value]),
    update(job, isWanted) {
      const version = isWanted ? [job.failed_hospitals, job.unprocessed_hospitals, job.corrected_hospitals, job.completed_at].join() : null;
      if (version === readFor) return;
      readFor = version;
      element.hidden = true;
      if (isWanted) read(version);
    },
  };
}
