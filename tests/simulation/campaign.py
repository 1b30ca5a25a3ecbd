"""Many seeds, in several processes; and one seed, told in full."""

import gc
import json
import os
import selectors
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

from tests.simulation.kinds import kind_of
from tests.simulation.run import Outcome, simulate

#: A process runs so many seeds, and a new one goes on: what killed processors leave behind goes with it.
SHARE = 25
#: So many seeds run twice.
REPLAYED = 2


def run_one(seed: int, *, history: bool, in_short: bool) -> NoReturn:
    """Runs one seed and prints how it went. Returns 1 when a promise was broken."""
    gc.disable()
    outcome = simulate(seed, in_short=in_short, keep_trace=True)
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
        f"seed {outcome.seed}, {kind_of(outcome.seed)}: {outcome.rows} rows, {outcome.faults} faults, "
        f"{outcome.simulated_seconds:.0f} s simulated, "
        f"{outcome.cpu_seconds:.2f} s of CPU, {len(outcome.violations)} violations, "
        f"digest {outcome.digest:08x}"
    )


class _Child:
    """A child process that runs seeds, and tells of each in a line of JSON. It leaves nothing behind."""

    def __init__(self, seeds: Sequence[int], *, in_short: bool) -> None:
        reading, writing = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(reading)
            self._run(seeds, in_short, writing)
        os.close(writing)
        # Unbuffered: a line that is in a buffer already would not wake a selector.
        self.lines = os.fdopen(reading, "rb", buffering=0)

    @staticmethod
    def _run(seeds: Sequence[int], in_short: bool, writing: int) -> NoReturn:
        status = 1
        try:
            with os.fdopen(writing, "w") as lines:
                for seed in seeds:
                    print(json.dumps(_figures_of(simulate(seed, in_short=in_short))), file=lines, flush=True)
            status = 0
        except BaseException:  # noqa: BLE001 - nothing of the parent may go on here
            traceback.print_exc()
        finally:
            os._exit(status)  # what killed processors left behind must not be freed

    def kill(self) -> None:
        """It is not needed any more."""
        os.kill(self._pid, signal.SIGKILL)

    def ended(self) -> bool:
        """Waits for its end. Returns whether it ran all its seeds."""
        self.lines.close()
        return os.waitpid(self._pid, 0)[1] == 0


def _figures_of(outcome: Outcome) -> dict[str, Any]:
    return {
        "seed": outcome.seed,
        "faults": outcome.faults,
        "simulated": outcome.simulated_seconds,
        "cpu": outcome.cpu_seconds,
        "rows": outcome.rows,
        "happened": outcome.happened,
        "digest": outcome.digest,
        "violations": [str(violation) for violation in outcome.violations],
    }


def _shares(first: int, seeds: int, kind: str | None) -> list[Sequence[int]]:
    """The seeds of a kind among so many, or all of these, by process."""
    chosen = [seed for seed in range(first, first + seeds) if kind in (None, kind_of(seed))]
    return [chosen[start : start + SHARE] for start in range(0, len(chosen), SHARE)]


def run_until_found(first: int, seeds: int, kind: str | None) -> NoReturn:
    """Runs seeds one after the other until a promise is broken, and says after how many that was."""
    gc.disable()
    for share in _shares(first, seeds, kind):
        child = _Child(share, in_short=False)
        while line := child.lines.readline():
            told = json.loads(line)
            if told["violations"]:
                child.kill()
                seed = told["seed"]
                print(f"found after {seed - first + 1} seeds, by seed {seed}: {told['violations'][0]}", flush=True)
                os._exit(1)
        if not child.ended():
            os._exit(2)
    print(f"not found in {seeds} seeds", flush=True)
    os._exit(0)


def run_all(first: int, seeds: int, processes: int, kind: str | None, *, in_short: bool) -> int:
    """Runs them all, prints violations at once and the figures at the end. Returns 1 when there was any.

    The last seeds of some shares run once more, in a process of their own: they have to go the same way.
    """
    began = time.monotonic()
    gc.disable()  # when something is freed must not depend on what ran before
    shares = _shares(first, seeds, kind)
    shares += [share[-1:] for share in shares[:REPLAYED]]
    figures = _Figures()
    with selectors.DefaultSelector() as running:
        while shares or running.get_map():
            while shares and len(running.get_map()) < processes:
                child = _Child(shares.pop(0), in_short=in_short)
                running.register(child.lines, selectors.EVENT_READ, child)
            for key, _ in running.select():
                if line := key.data.lines.readline():
                    figures.add(json.loads(line))
                    continue
                running.unregister(key.fileobj)
                figures.failed += not key.data.ended()
    figures.show(time.monotonic() - began)
    return 1 if figures.total["broken"] or figures.failed else 0


class _Figures:
    """What all seeds together came to."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self.happened: Counter[str] = Counter()
        self.failed = 0
        self._digests: dict[int, int] = {}

    def add(self, told: dict[str, Any]) -> None:
        """One more seed, as its process told it; or one once more."""
        seed, digest = told["seed"], told["digest"]
        if seed in self._digests:
            self.total.update(replayed=1, broken=digest != self._digests[seed])
            if digest != self._digests[seed]:
                print(f"seed {seed}: does not replay: {self._digests[seed]:08x}, then {digest:08x}", flush=True)
            return
        self._digests[seed] = digest
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
            f"{total['faults'] / cpu:.0f} faults per second of CPU, {total['replayed']} replayed, "
            f"{total['broken']} seeds with violations"
        )
