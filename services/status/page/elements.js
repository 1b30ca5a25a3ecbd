// Elements of the page. Texts become text nodes, so whatever a file or a hospital is called stays text.

/**
 * An element. `attributes`: `on…` are listeners, true/false switch an attribute, null leaves it out.
 * Children are elements or texts; null, undefined and false are left out.
 */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for the elements of a drawing. */
export function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter(child => child != null && child !== false));
  return element;
}

export function button(text, onclick, kind = "") {
  return el("button", { type: "button", class: kind, onclick }, text);
}

/** A text that somebody else wrote: signs of it that turn the direction of writing do not turn ours. */
export const quoted = text => el("bdi", {}, text);

/** Writes a text only when it changed, so that a reader who selects it is not disturbed. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A part of the page that scrolls by itself, reachable without a mouse. */
export function scrolling(label, ...children) {
  return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, ...children);
}

/** `rows`: arrays of cells, each an element, a text or several; the first cell names its row. */
export function table(caption, titles, rows) {
  return el(
    "table", {},
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, titles.map(title => el("th", { scope: "col" }, title)))),
    el("tbody", {}, rows.map(([name, ...cells]) =>
      el("tr", {}, el("th", { scope: "row" }, name), cells.map(cell => el("td", {}, cell))))),
  );
}

/** Says it to those who cannot see it change. Use it for what matters only. */
export function announce(text) {
  write(document.getElementById("announcements"), text);
}
