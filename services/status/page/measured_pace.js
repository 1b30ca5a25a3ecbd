// How fast a job goes, from what was seen of it.

const WINDOW = 15_000;
const POINTS = 60;

/**
 * Returns `saw(processed, at)` → { now, line }. `now`: hospitals a second over the last 15 s, null while nothing can be
 * said; `line`: what it was before, at most one a second and 60 of them. `at` in ms.
 */
export function measuredPace() {
  let seen = [];
  let line = [];
  let drawnAt = -Infinity;
  return (processed, at) => {
    seen = [...seen.filter(point => at - point.at <= WINDOW && point.processed <= processed), { processed, at }];
    const [first] = seen;
    const passed = (at - first.at) / 1000;
    const now = passed >= 1 && processed > first.processed ? (processed - first.processed) / passed : null;
    if (at - drawnAt >= 1000 && (now !== null || line.length)) {
      drawnAt = at;
      line = [...line, now ?? 0].slice(-POINTS);
    }
    return { now, line };
  };
}
