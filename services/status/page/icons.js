// The page's icons. They say nothing that a word beside them does not say too.
import { drawn } from "./elements.js";

const PATHS = {
  again: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9M19.5 4v5h-5",
  alert: "M12 5v8.5M12 18.4v.1",
  back: "M19 12H5m6-6-6 6 6 6",
  check: "m5.5 12.5 4.3 4.5 8.7-9.5",
  clock: "M12 6v6.5l4 2.5M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  cross: "m7 7 10 10M17 7 7 17",
  down: "M12 4v11.5m-5-4.7 5 5 5-5M5 20h14",
  file: "M6.5 3.5h7l4.5 4.5v12.5h-11.5zM13.5 3.5v4.5h4.5",
  pause: "M9 6.5v11M15 6.5v11",
  send: "M12 18.5v-12m-5 5 5-5 5 5",
  stop: "M7 7h10v10H7z",
  up: "M12 15.5v-11m-5 4.7 5-5 5 5M4.5 14.5v3a2 2 0 0 0 2 2h11a2 2 0 0 0 2-2v-3",
};

/** `kind`: classes for its size and colour. */
export function icon(name, kind = "") {
  const svg = drawn("svg", { viewBox: "0 0 24 24", class: `icon ${kind}`, "aria-hidden": "true" }, drawn("path"));
  redraw(svg, name);
  return svg;
}

export function redraw(svg, name) {
  svg.firstChild.setAttribute("d", PATHS[name]);
}
