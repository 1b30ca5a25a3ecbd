// What was uploaded before: the same file, the same hospitals, or what this file corrects.
import { el } from "../elements.js";
import { count, counted, hospitals, moment } from "../words.js";

const address = jobId => `#/jobs/${encodeURIComponent(jobId)}`;

/** `same`: the earlier uploads of the same bytes; `total`: how many hospitals the file has. */
export function sameFile(same, total) {
  return el("div", { class: "notice mixed" },
    el("p", {}, el("strong", {}, "Exactly this file was uploaded before. "), `If you upload it again, ${total === 1 ? "its hospital is" : `all ${hospitals(total)} are`} created a second time.`),
    el("ul", {}, same.slice(0, 5).map(job =>
      el("li", {}, el("a", { href: address(job.job_id) }, `Upload of ${moment(job.created_at)}`)))),
    same.length > 5 && el("p", {}, `and ${counted(same.length - 5, "earlier upload", "earlier uploads")}`));
}

/** `jobId`: the upload whose rows the file has again, corrected. */
export function correctedUpload(jobId) {
  return el("p", { class: "notice busy" }, "This file corrects rows of ", el("a", { href: address(jobId) }, "an earlier upload"), ".");
}

/** `before`: rows alike to rows that were created in the last 30 days. */
export function earlierRows({ count: amount, rows }) {
  return el("div", { class: "notice mixed" },
    el("p", {}, el("strong", {}, `${hospitals(amount)} of this file ${amount === 1 ? "was" : "were"} created before. `), `If you upload the file, ${amount === 1 ? "it is" : "they are"} created a second time.`),
    el("ul", {}, rows.slice(0, 10).map(({ row, job_id: jobId, job_row: jobRow }) =>
      el("li", {}, `Row ${row}: `, el("a", { href: address(jobId) }, `row ${jobRow} of an earlier upload`)))),
    amount > rows.length && el("p", {}, `and ${count(amount - rows.length)} more`));
}
