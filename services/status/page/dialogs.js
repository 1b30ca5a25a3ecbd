// Questions that have to be answered before anything else.
import { button, el } from "./elements.js";

/**
 * Opens a dialog. `build(close)` returns its children and, last, what to do when its form is sent. Returns what `close`
 * was given; null after Escape, which `stays` forbids. The browser keeps the focus inside, and puts it back afterwards.
 */
export async function modal(title, build, { stays = false } = {}) {
  let answer = null;
  const close = value => {
    answer = value;
    dialog.close();
  };
  const children = build(close);
  const sent = children.pop();
  const form = el("form", { onsubmit: event => { event.preventDefault(); sent(); } }, el("h2", { id: "dialog-title" }, title), ...children);
  const dialog = el("dialog", { "aria-labelledby": "dialog-title", oncancel: event => stays && event.preventDefault() }, form);
  document.body.append(dialog);
  dialog.showModal();
  await new Promise(resolve => dialog.addEventListener("close", resolve, { once: true }));
  dialog.remove();
  return answer;
}

/** Yes or no. The focus is on `no`, so that Enter pressed in haste does nothing. */
export function sure(title, paragraphs, { yes, no, kind = "main" }) {
  return modal(title, close => [
    ...paragraphs.map(text => el("p", {}, text)),
    el("div", { class: "buttons" },
      el("button", { type: "button", autofocus: true, onclick: () => close(false) }, no), button(yes, () => close(true), kind)),
    () => {},
  ]);
}
