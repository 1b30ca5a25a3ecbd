"""One simulation by its seed."""

import asyncio
import gc
import logging
import os
import random
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from tests.simulation.kinds import Simulated, make_world
from tests.simulation.library_clocks import clocks_of
from tests.simulation.virtual_loop import Spinning, VirtualLoop
from tests.support.history import Violation

_ENDED: list[Any] = []
#: Libraries that log what we let happen to them.
_LOGGING = ("aiokafka", "sqlalchemy")


@dataclass
class Outcome:
    """How a simulation ended."""

    seed: int
    violations: list[Violation] = field(default_factory=list)
    faults: int = 0
    simulated_seconds: float = 0.0
    cpu_seconds: float = 0.0
    rows: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    trace: list[tuple[float, str, str]] = field(default_factory=list)
    #: Of everything that happened, in order: two runs of a seed have the same.
    digest: int = 0


def simulate(seed: int, *, in_short: bool = False, keep_trace: bool = False) -> Outcome:
    """Runs a seed to its end. `in_short`: with less of everything."""
    began = time.process_time()
    chance = random.Random(seed)
    random.seed(seed)  # aiokafka and tenacity use the one of the module
    loop = VirtualLoop(chance)
    outcome = Outcome(seed)
    asyncio.set_event_loop(loop)
    with clocks_of(loop), _drawn_ids(random.Random(f"ids {seed}")), _nothing_collected():
        world = make_world(seed, loop, chance, in_short=in_short)
        with _log_lines(world, keep_trace=keep_trace):
            try:
                complete = loop.run_until_complete(world.live())
            except Spinning as error:
                complete = False
                world.crashes.append(Violation("a machine spins", str(error), ()))
            outcome.violations = [*world.crashes, *world.check(complete=complete)]
    outcome.rows, outcome.simulated_seconds = world.rows, loop.now
    outcome.happened = world.what_happened()
    outcome.faults = outcome.happened.total()
    outcome.trace = world.trace
    outcome.digest = zlib.crc32(world.digest().encode())
    # It is kept: what is freed would run its `finally` in another simulation.
    _ENDED.append((world, world.dispose(), list(asyncio.all_tasks(loop))))
    loop.close()
    asyncio.set_event_loop(None)
    outcome.cpu_seconds = time.process_time() - began
    return outcome


@contextmanager
def _drawn_ids(chance: random.Random) -> Iterator[None]:
    """While it lasts, ids (uuid4) come from the seed: rate slots are shared out in the order of processors' ids.

    By a generator of their own: whatever is imported late may take some too.
    """
    drawn, os.urandom = os.urandom, chance.randbytes
    try:
        yield
    finally:
        os.urandom = drawn


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """While it lasts nobody collects garbage: what is freed of a killed machine would run its `finally`."""
    before, gc.collect = gc.collect, lambda _generation=2: 0
    try:
        yield
    finally:
        gc.collect = before


@contextmanager
def _log_lines(world: Simulated, *, keep_trace: bool) -> Iterator[None]:
    """The log lines of the services go into the trace."""

    def note(_logger: Any, level: str, line: dict[str, Any]) -> Any:
        event = line.pop("event")
        world.note(f"{event} {' '.join(f'{name}={value}' for name, value in line.items())}")
        raise structlog.DropEvent

    before = structlog.get_config()
    for library in _LOGGING:
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    level = logging.INFO if keep_trace else logging.CRITICAL
    structlog.configure(
        processors=[note], wrapper_class=structlog.make_filtering_bound_logger(level), cache_logger_on_first_use=False
    )
    try:
        yield
    finally:
        structlog.configure(**before)
        for library in _LOGGING:
            logging.getLogger(library).setLevel(logging.NOTSET)
