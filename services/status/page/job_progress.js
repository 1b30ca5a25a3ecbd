// The bar of a job: what became of its rows, as shares of the whole.
import { el, write } from "./elements.js";
import { count, corrected, failedForSure, notSent, percent, unconfirmed } from "./words.js";

const PARTS = [
  ["created", "Created", job => job.created_hospitals],
  ["corrected", "After correction", corrected],
  ["failed", "Failed", failedForSure],
  ["unconfirmed", "Unconfirmed", unconfirmed],
  ["unprocessed", "Not sent", notSent],
];
/** These are hidden while there are none. */
const RARE = PARTS.filter(([name]) => ["corrected", "unconfirmed"].includes(name));

export function progressBar(label) {
  const fills = Object.fromEntries(PARTS.map(([name]) => [name, el("div", { class: `fill ${name}` })]));
  const element = el("div", { class: "bar", role: "progressbar", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": "100" },
    Object.values(fills));
  return {
    element,
    update(job) {
      for (const [name, , of] of PARTS) {
        fills[name].style.width = `${100 * of(job) / job.total_hospitals}%`;
        fills[name].hidden = of(job) === 0;
      }
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
      for (const [name, , of] of PARTS) write(values[name], count(of(job)));
      for (const [name, , of] of RARE) values[name].parentElement.hidden = of(job) === 0;
      write(values.left, count(job.total_hospitals - job.processed_hospitals));
    },
  };
}
