// The bar of a job: created, failed and not sent, as shares of the whole.
import { el, write } from "./elements.js";
import { count, percent } from "./words.js";

const PARTS = [["created", "Created"], ["failed", "Failed"], ["unprocessed", "Not sent"]];

export function progressBar(label) {
  const fills = Object.fromEntries(PARTS.map(([name]) => [name, el("div", { class: `fill ${name}` })]));
  const element = el("div", { class: "bar", role: "progressbar", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": "100" },
    Object.values(fills));
  return {
    element,
    update(job) {
      for (const [name, fill] of Object.entries(fills)) fill.style.width = `${100 * job[`${name}_hospitals`] / job.total_hospitals}%`;
      element.setAttribute("aria-valuenow", Math.floor(job.progress_percentage));
      element.setAttribute("aria-valuetext", `${percent(job.progress_percentage)}: ${count(job.processed_hospitals)} of ${count(job.total_hospitals)} hospitals`);
    },
  };
}

/** The numbers under the bar, which are its legend as well. */
export function tally() {
  const values = {};
  const element = el("dl", { class: "tally" }, [...PARTS, ["left", "Still to do"]].map(([name, title]) => {
    values[name] = el("dd", { "data-count": name });
    return el("div", {}, el("dt", { class: name }, title), values[name]);
  }));
  return {
    element,
    update(job) {
      for (const [name] of PARTS) write(values[name], count(job[`${name}_hospitals`]));
      write(values.left, count(job.total_hospitals - job.processed_hospitals));
    },
  };
}
