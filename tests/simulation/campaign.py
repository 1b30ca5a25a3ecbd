"""Many seeds, in several processes; and one seed, told in full."""

import gc
import json
import os
import subprocess
import sys
import time
from collections import Counter
from typing import NoReturn

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
    running: list[subprocess.Popen[str]] = []
    total: Counter[str] = Counter()
    happened: Counter[str] = Counter()
    while shares or running:
        while shares and len(running) < processes:
            start, count = shares.pop(0)
            command = [
                sys.executable,
                "-m",
                "tests.simulation",
                "--worker",
                "--first",
                str(start),
                "--seeds",
                str(count),
            ]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        for process in list(running):
            if process.poll() is not None or len(running) == processes:
                _collect(process, total, happened)
                running.remove(process)
                break
    seconds = time.monotonic() - began
    cpu = max(total["cpu_ms"] / 1000, 0.001)
    print(
        f"{total['seeds']} seeds, {total['rows']} rows, {total['simulated']} s simulated in {seconds:.0f} s: "
        f"{total['seeds'] / seconds:.1f} seeds/s, {total['faults'] / cpu:.0f} faults per second of CPU, "
        f"{total['broken']} seeds with violations"
    )
    for what, count in sorted(happened.items()):
        print(f"    {count:7} {what}")
    return 1 if total["broken"] or total["failed"] else 0


def _collect(process: "subprocess.Popen[str]", total: Counter[str], happened: Counter[str]) -> None:
    output, _ = process.communicate()
    for line in output.splitlines():
        told = json.loads(line)
        total.update(
            seeds=1, rows=told["rows"], faults=told["faults"], simulated=int(told["simulated"]),
            cpu_ms=int(told["cpu"] * 1000), broken=bool(told["violations"]),
        )  # fmt: skip
        happened.update(told["happened"])
        for violation in told["violations"]:
            print(f"seed {told['seed']}: {violation}", flush=True)
    total["failed"] += bool(process.returncode)
