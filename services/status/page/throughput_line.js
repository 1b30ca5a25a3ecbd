// The throughput of the last minute as a line. The number beside it says the same.
import { drawn } from "./elements.js";

const WIDTH = 160;
const HEIGHT = 40;
/** A line of fewer points begins further to the right. */
const FEWEST = 20;

/** Returns { element, update(line) }. It is hidden while there is no line to see. */
export function throughputLine() {
  const area = drawn("path", { class: "area" });
  const stroke = drawn("path", { class: "stroke" });
  const element = drawn("svg", { class: "throughput-line", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, area, stroke);
  element.style.visibility = "hidden";
  return {
    element,
    update(line) {
      const highest = Math.max(0, ...line);
      element.style.visibility = line.length > 2 && highest > 0 ? "visible" : "hidden";
      if (!highest) return;
      const places = Math.max(FEWEST, line.length);
      const x = index => round((places - line.length + index) * WIDTH / (places - 1));
      const points = line.map((rate, index) => `${x(index)} ${round(HEIGHT - 2 - (HEIGHT - 6) * rate / highest)}`);
      stroke.setAttribute("d", `M${points.join("L")}`);
      area.setAttribute("d", `M${points.join("L")}L${WIDTH} ${HEIGHT}L${x(0)} ${HEIGHT}Z`);
    },
  };
}

const round = place => Math.round(place * 10) / 10;
