// The throughput of a job, measured from its counts.

const WINDOW = 15_000;
const POINTS = 60;

/**
 * Returns a function (processed, at) → { now, line }. `at` in ms. `now`: hospitals per second over the last 15 s, null
 * while it is unknown. `line`: earlier values, one a second, 60 at most.
 */
export function measuredThroughput() {
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
