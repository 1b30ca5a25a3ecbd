// The files that a job leaves: in the order of the input, with its columns, and what became of each row.
import { resultFile, resultWorkbook } from "./api.js";
import { el, write } from "./elements.js";
import { icon } from "./icons.js";
import { counted, open, unknownOutcomes } from "./words.js";

/** Each with what it counts, what it is for, and what is said when no row is open any more. */
const FILES = [
  ["successful", "created_hospitals", "with the directory's numbers"],
  ["failed", "failed_hospitals", "with reasons, to correct and upload", "with reasons"],
  ["unprocessed", "unprocessed_hospitals", "never sent, to upload later", "never sent"],
  ["all", "processed_hospitals", "with what became of each"],
];

/** Returns { element, update(job) }. */
export function resultFiles(jobId) {
  const links = FILES.map(([name, rows, note, past = note]) => {
    const words = el("span", { class: "soft" });
    const link = el("a", { class: "file", href: resultFile(jobId, name), download: `${name}.csv` },
      icon("down"), el("span", {}, el("strong", {}, `${name}.csv`), words));
    const workbook = el("a", { class: "soft", href: resultWorkbook(jobId, name), download: `${name}.xlsx` }, `${name}.xlsx, a workbook`);
    const entry = el("div", {}, link, workbook);
    return { entry, update(job) {
      entry.hidden = job[rows] === 0;
      write(words, `${counted(job[rows], "row", "rows")}, ${open(job) ? note : past}`);
    } };
  });
  const notice = el("p", { class: "notice mixed", hidden: true }, el("strong", {}), " ", el("span", {}));
  const element = el("section", { class: "card", "aria-labelledby": "files-title", hidden: true },
    el("h2", { id: "files-title" }, "Result files"), el("div", { class: "files" }, links.map(({ entry }) => entry)), notice);
  return {
    element,
    update(job) {
      element.hidden = job.processed_hospitals === 0;
      for (const each of links) each.update(job);
      const [warning, advice] = unknownOutcomes(job.unknown_hospitals);
      notice.hidden = !warning;
      write(notice.firstChild, warning);
      write(notice.lastChild, advice);
    },
  };
}
