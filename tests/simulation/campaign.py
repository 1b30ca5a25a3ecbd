"""Many seeds, in several processes; and one seed, told in full."""

import gc
import json
import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from typing import Any, NoReturn

from tests.simulation.run import Outcome, short, simulate

#: A process runs so many seeds, and a new one goes on: what killed processors leave behind goes with it.
SHARE = 25


def run_one(seed: int, *, history: bool, in_short: bool) -> NoReturn:
    """Runs one seed and prints how it went. Returns 1 when a promise was broken."""
    gc.disable()
    outcome = simulate(seed, *([short] if in_short else []), keep_trace=True)
    if history:
        for at, machine, text in outcome.trace:
            print(f"{at:10.4f} {machine:14} {text}")
    print(_line(outcome))
    for what, count in sorted(outcome.happened.items()):
        print(f"    {count:5} {what}")
    for violation in outcome.violations:
        print(violation)
    sys.stdout.flush()
    os._exit(1 if outcome.violations else 0)


def _line(outcome: Outcome) -> str:
    return (
        f"seed {outcome.seed}: {outcome.rows} rows, {outcome.faults} faults, "
        f"{outcome.simulated_seconds:.0f} s simulated, "
        f"{outcome.cpu_seconds:.2f} s of CPU, {len(outcome.violations)} violations, "
        f"digest {outcome.digest & 0xFFFFFFFF:08x}"
    )


def run_share(first: int, seeds: int, *, in_short: bool) -> NoReturn:
    """Runs seeds, and prints a line of JSON for each."""
    # When something is freed must not depend on what ran before.
    gc.disable()
    for seed in range(first, first + seeds):
        outcome = simulate(seed, *([short] if in_short else []))
        print(
            json.dumps(
                {
                    "seed": seed,
                    "faults": outcome.faults,
                    "simulated": outcome.simulated_seconds,
                    "cpu": outcome.cpu_seconds,
                    "rows": outcome.rows,
                    "happened": outcome.happened,
                    "violations": [str(violation) for violation in outcome.violations],
                }
            ),
            flush=True,
        )
    sys.stdout.flush()
    os._exit(0)  # what killed processors left behind must not be freed


def run_until_found(first: int, seeds: int) -> NoReturn:
    """Runs seeds one after the other until a promise is broken, and says after how many that was."""
    gc.disable()
    for count, seed in enumerate(range(first, first + seeds), start=1):
        if outcome := _run_in_child(seed):
            print(f"found after {count} seeds, by seed {seed}: {outcome}", flush=True)
            os._exit(1)
    print(f"not found in {seeds} seeds", flush=True)
    os._exit(0)


def _run_in_child(seed: int) -> str:
    """The first violation of a seed, if there is any. A child of its own leaves nothing behind."""
    reading, writing = os.pipe()
    if not os.fork():
        violations = simulate(seed).violations
        os.write(writing, str(violations[0]).encode()[:4000] if violations else b"")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = pipe.read().decode(errors="replace")
    os.wait()
    return found


def run_all(first: int, seeds: int, processes: int, *, in_short: bool) -> int:
    """Runs them all, prints violations at once and the figures at the end. Returns 1 when there was any."""
    began = time.monotonic()
    shares = [(start, min(SHARE, first + seeds - start)) for start in range(first, first + seeds, SHARE)]
    figures = _Figures()
    with selectors.DefaultSelector() as running:
        for _ in range(min(processes, len(shares))):
            _start(shares, running, in_short=in_short)
        while running.get_map():
            for key, _ in running.select():
                if line := key.fileobj.readline():  # type: ignore[union-attr]
                    figures.add(json.loads(line))
                    continue
                running.unregister(key.fileobj)
                figures.failed += bool(key.data.wait())
                if shares:
                    _start(shares, running, in_short=in_short)
    figures.show(time.monotonic() - began)
    return 1 if figures.total["broken"] or figures.failed else 0


def _start(shares: list[tuple[int, int]], running: selectors.BaseSelector, *, in_short: bool) -> None:
    start, count = shares.pop(0)
    command = [sys.executable, "-m", "tests.simulation", "--worker", f"--first={start}", f"--seeds={count}"]
    # Unbuffered: a line that is in a buffer already would not wake the selector.
    process = subprocess.Popen(command + ["--short"] * in_short, stdout=subprocess.PIPE, bufsize=0)
    running.register(process.stdout, selectors.EVENT_READ, process)  # type: ignore[arg-type]


class _Figures:
    """What all seeds together came to."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self.happened: Counter[str] = Counter()
        self.failed = 0

    def add(self, told: dict[str, Any]) -> None:
        """One more seed, as its process told it."""
        self.total.update(
            seeds=1,
            rows=told["rows"],
            faults=told["faults"],
            simulated=int(told["simulated"]),
            cpu_ms=int(told["cpu"] * 1000),
            broken=bool(told["violations"]),
        )
        self.happened.update(told["happened"])
        for violation in told["violations"]:
            print(f"seed {told['seed']}: {violation}", flush=True)

    def show(self, seconds: float) -> None:
        """Prints them."""
        total, cpu = self.total, max(self.total["cpu_ms"] / 1000, 0.001)
        for what, count in sorted(self.happened.items()):
            print(f"    {count:7} {what}")
        print(
            f"{total['seeds']} seeds, {total['rows']} rows, {total['simulated']} s simulated in {seconds:.0f} s "
            f"({cpu:.0f} s of CPU): {total['seeds'] / seconds:.1f} seeds/s, "
            f"{total['faults'] / cpu:.0f} faults per second of CPU, {total['broken']} seeds with violations"
        )
