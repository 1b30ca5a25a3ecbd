// What the service says of a file: what has to be corrected, or what will be sent.
import { button, el, quoted } from "../elements.js";
import { saveFile } from "../file/save_file.js";
import { icon } from "../icons.js";
import { bytes, count, counted, duration, hospitals } from "../words.js";
import { allowances } from "./allowances.js";
import { columnsOf, correction } from "./correction.js";
import { correctedUpload, earlierRows, sameFile } from "./earlier_uploads.js";
import { encodingChoice } from "./encoding_choice.js";
import { findings } from "./findings.js";
import { listButton } from "./list_button.js";
import { heading } from "./panels.js";
import { reading } from "./reading.js";
import { saveHelp } from "./save_help.js";

const UNREAD = new Set(["unknown_encoding", "wrong_encoding"]);

/**
 * The panel for an answer about a file. `mine`: the attempt (attempt.js). `todo`: what a person can do: { send, check(changes),
 * choose, cancel }, where `changes` are those of the attempt: { file, parameters }.
 */
export function verdictPanel(mine, verdict, todo) {
  const problems = [...verdict.errors, ...verdict.warnings];
  const mending = correction(mine, verdict, problems, file => todo.check({ file, parameters: mine.parametersOf(file) }));
  const apply = async parameters => todo.check({ file: await mending.current(), parameters });
  const send = button("", todo.send);
  const list = listButton(mine, verdict);
  const parts = { mending, apply, send, list, how: el("div", { hidden: true }) };
  let isReadAnew = false;

  /** What was changed is checked before anything is sent. */
  function onChange() {
    mending.onChange();
    send.hidden = isReadAnew || mending.isChanged;
    mending.buttons.again.hidden ||= isReadAnew;
  }
  parts.how.addEventListener("change", () => {
    isReadAnew = true;
    onChange();
  });
  parts.found = (these, left) => findings(these, left, verdict.mapping, mending.opened, onChange);
  mending.opened.then(file => {
    const element = reading(verdict, columnsOf(verdict, file), mine.parameters, file?.headerRow === 0, apply);
    parts.how.hidden = !element;
    if (element) parts.how.append(element);
  });
  return (verdict.valid ? ready : refused)(mine, verdict, parts, todo);
}

function refused(mine, verdict, { mending, apply, list, how, found }, todo) {
  const { errors, warnings, errors_total: total, warnings_total: warned } = verdict;
  // A row is corrected in one place: what else looks wrong about it stands there too.
  const wrong = new Set(errors.map(({ row }) => row));
  const [beside, other] = [warnings.filter(({ row }) => wrong.has(row)), warnings.filter(({ row }) => !wrong.has(row))];
  const cancel = button("Cancel", todo.cancel);
  if (errors.every(({ code }) => UNREAD.has(code))) {
    const choose = encoding => todo.check({ file: mine.source, parameters: { ...mine.parameters, encoding } });
    return el("div", {}, heading("How is ", quoted(mine.file.name), " written?"),
      encodingChoice(verdict.encoding_guesses, choose), saveHelp(), el("div", { class: "buttons" }, button("Choose another file", todo.choose), cancel));
  }
  return el("div", {},
    heading(quoted(mine.file.name), ` has ${counted(total, "error", "errors")}`),
    advice(verdict, mending),
    found([...errors, ...beside], total - errors.length),
    allowances(errors, mine.parameters, apply),
    other.length > 0 && warningList(other, warned - beside.length, found),
    how, saveHelp(),
    el("div", { class: "buttons" }, Object.values(mending.buttons), list, button("Choose the corrected file", todo.choose), cancel));
}

/** What to do: here, where the file can be corrected here, else in the program it came from. */
function advice(verdict, mending) {
  const words = el("p", {}, "Nothing was stored. ");
  mending.opened.then(file => words.append(
    verdict.header_row === null ? columnsOf(verdict, file).size ? "Say below which column is which, or correct your file and choose it again." : "Correct your file and choose it again."
      : file ? "Correct the rows here and check again, or correct your file and choose it again."
        : "This file cannot be corrected here: correct it in your spreadsheet, and choose it again."));
  return words;
}

function warningList(warnings, total, found) {
  return el("section", { class: "stack warnings" }, el("h4", {}, `${counted(total, "warning: is this", "warnings: are these")} meant?`), found(warnings, total - warnings.length));
}

/** The file is good: how it was read, how long it will take, and whether it was meant. */
function ready(mine, verdict, { mending, apply, send, list, how, found }, todo) {
  const { warnings_total: warned, same_file_as: same, already_created: before } = verdict;
  const size = hospitals(verdict.total_hospitals);
  const again = before?.count > 0 && `Create ${hospitals(before.count)} a second time?`;
  const title = same.length ? "Upload the same file again?" : again || (warned ? `Look at ${counted(warned, "warning", "warnings")} first` : `Ready to upload ${size}`);
  const isRepeated = same.length > 0 || Boolean(again);
  send.textContent = same.length ? "Yes, upload it again" : again ? `Yes, upload ${verdict.total_hospitals === 1 ? "it" : `all ${size}`}` : warned ? `Upload ${size} as ${verdict.total_hospitals === 1 ? "it is" : "they are"}` : `Upload ${size}`;
  send.className = isRepeated ? "danger" : "main";
  return el("div", {}, heading(title), facts(mine, verdict),
    same.length > 0 && sameFile(same, verdict.total_hospitals),
    again && earlierRows(before),
    verdict.corrects && correctedUpload(verdict.corrects),
    warned > 0 && warningList(verdict.warnings, warned, found),
    allowances([], mine.parameters, apply),
    how,
    el("p", { class: "soft" }, "There is no undo: hospitals that were created cannot be taken back from here."),
    el("div", { class: "buttons" },
      isRepeated && button("No, leave it", todo.cancel, "main"), send, Object.values(mending.buttons), warned > 0 && list,
      mine.isCorrected && button("Save this file", () => saveFile(mine.file)),
      !isRepeated && [button("Choose another file", todo.choose), button("Cancel", todo.cancel)]));
}

function facts(mine, verdict) {
  const tile = (name, value, kind = "") => el("div", {}, el("dt", {}, name), el("dd", { class: kind }, value));
  const [time, warned] = [verdict.estimated_seconds, verdict.warnings_total];
  return el("div", { class: "stack" },
    el("p", { class: "with-icon" }, icon("file"), el("span", {}, el("strong", {}, quoted(mine.file.name)), ` (${bytes(mine.file.size)})`)),
    el("dl", { class: "tiles" },
      tile("Hospitals", count(verdict.total_hospitals)),
      warned ? tile("Warnings", count(warned)) : tile("Errors", "none", "good"),
      time !== null && tile("Takes about", duration(time))));
}
