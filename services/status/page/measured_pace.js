// How fast a job goes, from what was seen of it.

const WINDOW = 15_000;

/** Returns `saw(processed, at)` → hospitals a second over the last 15 s; null while nothing can be said. `at` in ms. */
export function measuredPace() {
  let seen = [];
  return (processed, at) => {
    seen = [...seen.filter(point => at - point.at <= WINDOW && point.processed <= processed), { processed, at }];
    const [first] = seen;
    const passed = (at - first.at) / 1000;
    return passed >= 1 && processed > first.processed ? (processed - first.processed) / passed : null;
  };
}
