// What may be meant although it looks like a mistake: a person can allow it.
import { el } from "../elements.js";

/** The code of the error, the parameter that allows it, and its words. */
const ALLOWED = [
  ["duplicate_row", "allow_duplicates", "Allow duplicates: all of them are meant (checks the file again)"],
  ["already_created", "repeat_created", "Create once more what an earlier upload has created (checks the file again)"],
];

/** Boxes for what the errors need, and what is allowed already. `apply(parameters)`: somebody has ticked one. */
export function allowances(errors, parameters, apply) {
  const found = new Set(errors.map(({ code }) => code));
  return ALLOWED.filter(([code, name]) => found.has(code) || parameters[name]).map(([, name, words]) => {
    const box = el("input", { type: "checkbox", id: name, checked: Boolean(parameters[name]), onchange: () => apply({ ...parameters, [name]: box.checked }) });
    return el("p", { class: "check" }, box, el("label", { for: name }, words));
  });
}
