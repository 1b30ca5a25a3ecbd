// What the upload card shows while it works, when it did not work, and at the end.
import { announce, button, el, quoted, write } from "../elements.js";
import { counted } from "../words.js";

/** A heading that is read out, and where the keyboard goes on from, when the step begins. */
export const heading = (...children) => el("h3", { tabindex: "-1" }, children);

/** The progress of sending the file, with `showProgress(share, arrived)` and `say(text)`. */
export function progress(title, note) {
  const fill = el("div", { class: "fill busy" });
  const bar = el("div", { class: "bar", role: "progressbar", "aria-label": title, "aria-valuemin": "0", "aria-valuemax": "100" }, fill);
  const words = el("p", { class: "soft", role: "status" }, note);
  return {
    element: el("div", {}, heading(title), bar, words),
    say: text => write(words, text),
    showProgress(share, arrived) {
      fill.style.width = `${share * 100}%`;
      bar.setAttribute("aria-valuenow", Math.floor(share * 100));
      write(words, share === 1 ? arrived : note);
      bar.classList.toggle("waiting", share === 1);
    },
  };
}

/** It did not work; with `retry` when the same may work later. */
export function problem(message, { retry, choose, cancel }) {
  announce(message);
  return el("div", {},
    heading(retry ? "That did not work yet" : "This cannot be uploaded"),
    el("p", { class: "notice bad" }, message),
    retry && el("p", { class: "soft" }, "Your file is still chosen. Trying again is safe: it cannot become two uploads."),
    el("div", { class: "buttons" },
      retry && button("Try again", retry, "main"),
      button("Choose another file", choose, retry ? "" : "main"), button("Cancel", cancel)));
}

/** Several files were sent, one after the other. `uploads`: [{ name, jobId }]. */
export function allSent(uploads, done) {
  return el("div", {}, heading(`${counted(uploads.length, "file", "files")} uploaded`),
    el("ul", { class: "plain stack" }, uploads.map(({ name, jobId }) =>
      el("li", {}, el("a", { href: `#/jobs/${encodeURIComponent(jobId)}` }, quoted(name))))),
    el("div", { class: "buttons" }, button("Done", done, "main")));
}
