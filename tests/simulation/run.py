"""One simulation by its seed: a plan, trouble for a while, then calm until everything has ended."""

import asyncio
import logging
import os
import random
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from services.processor.settings import ProcessorSettings
from tests.simulation import directory
from tests.simulation.directory import Character
from tests.simulation.forgotten import forget_offsets
from tests.simulation.kafka.cluster import LEADER
from tests.simulation.library_clocks import clocks_of
from tests.simulation.virtual_loop import Spinning, VirtualLoop
from tests.simulation.world import ADDRESSES, BROKER_ADDRESSES, Plan, World
from tests.support.history import Violation

#: After the trouble everything has to end within so many simulated seconds.
CALM_SECONDS = 300.0
LOOK_SECONDS = 0.5
_ENDED: list[Any] = []


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


def make_plan(chance: random.Random) -> Plan:
    """What a seed decides before anything happens."""
    timeout, lease = chance.choice((0.5, 1.0, 2.0)), chance.choice((1.0, 2.0, 4.0))
    settle = chance.choice((0.5, 2.0, 6.0))
    session = chance.choice((1_000, 3_000, 6_000))
    if chance.random() < 0.3:  # any freeze is longer than all of them together
        timeout, lease, settle, session = 0.5, 1.0, 0.5, 1_000
    settings = ProcessorSettings(
        kafka_bootstrap_servers=f"{LEADER.host}:{LEADER.port}",
        kafka_topic_partitions=chance.choice((1, 2, 3)),
        hospital_api_base_url=directory.URL,
        hospital_api_timeout=timeout,
        hospital_api_settle_seconds=settle,
        lease_seconds=lease,
        session_timeout_ms=session,
        hospital_api_max_connections=chance.choice((1, 2, 4, 8)),
        rate_limit_requests=chance.choice((0, 0, 0, 20)),
        retry_max_attempts=chance.choice((1, 2, 3)),
        retry_min_wait=0.1,
        retry_max_wait=chance.choice((0.2, 1.0)),
        circuit_breaker_failure_threshold=chance.choice((2, 5)),
        circuit_breaker_recovery_timeout=chance.choice((0.3, 2.0)),
        window_rows=chance.choice((10, 20, 10_000)),
        commit_interval_ms=chance.choice((50, 100, 300)),
    )
    return Plan(
        settings=settings,
        processors=chance.choice((1, 2, 2, 3, 3, 4)),
        character=Character(
            settle=settle,
            conflicts=chance.random() < 0.25,
            unknown_is_404=chance.random() < 0.5,
            refolds=chance.random() < 0.2,
            latency=chance.choice((0.01, 0.1, 0.4)),
        ),
        kafka=chance.choice((0.0, 0.02, 0.1, 0.3)),
        directory=chance.choice((0.0, 0.1, 0.3, 0.8)),
        trouble_seconds=chance.choice((5.0, 10.0, 20.0)),
        jitter=chance.choice((0.0, 0.002, 0.02)),
        drift=chance.choice((0.0, 0.0001, 0.003)),
        slow_network=chance.choice((0.0, 0.005, 0.05)),
        forgets=chance.random() < 0.04,
        strikes=chance.choice((0.0, 0.02, 0.06)),
    )


def short(plan: Plan) -> Plan:
    """A plan for runs that have little time."""
    settle = min(plan.settings.hospital_api_settle_seconds, 2.0)
    times = {
        "lease_seconds": min(plan.settings.lease_seconds, 2.0),
        "hospital_api_settle_seconds": settle,
        "session_timeout_ms": min(plan.settings.session_timeout_ms, 3_000),
    }
    return replace(
        plan,
        settings=plan.settings.model_copy(update=times),
        character=replace(plan.character, settle=settle),
        trouble_seconds=4.0,
        processors=min(plan.processors, 2),
    )


def simulate(seed: int, change: Callable[[Plan], Plan] = lambda plan: plan, *, keep_trace: bool = False) -> Outcome:
    """Runs a seed to its end. `change`: for plans that a test wants otherwise."""
    began = time.process_time()
    chance = random.Random(seed)
    random.seed(seed)  # aiokafka and tenacity use the one of the module
    plan = change(make_plan(chance))
    loop = VirtualLoop(chance)
    world = World(loop, plan, chance)
    outcome = Outcome(seed)
    asyncio.set_event_loop(loop)
    with clocks_of(loop), _drawn_ids(chance), _log_lines(world, keep_trace=keep_trace):
        try:
            complete = loop.run_until_complete(_live(world))
        except Spinning as error:
            complete = False
            world.crashes.append(Violation("a machine spins", str(error), ()))
        outcome.violations = [*world.crashes, *world.check(complete=complete)]
        if not complete:
            outcome.violations.append(_unended(world))
    outcome.faults, outcome.simulated_seconds = world.faults(), loop.now
    outcome.rows = len(world.clerks.accepted)
    outcome.happened = world.happened + world.weather.faults
    outcome.trace = world.trace
    outcome.digest = _digest(world)
    _dispose(world)
    outcome.cpu_seconds = time.process_time() - began
    return outcome


def _digest(world: World) -> int:
    """Of every call to the directory and its moment, and of the number of timers."""
    told = repr((world.loop.now, world.loop.timers_set, world.directory.calls, world.directory.creations))
    return zlib.crc32(told.encode())


@contextmanager
def _drawn_ids(chance: random.Random) -> Iterator[None]:
    """While it lasts, ids (uuid4) come from the seed: rate slots are shared out in the order of processors' ids."""
    drawn, os.urandom = os.urandom, chance.randbytes
    try:
        yield
    finally:
        os.urandom = drawn


async def _live(world: World) -> bool:
    """The trouble, and then the calm. Returns whether everything ended."""
    chance, plan, loop = world.chance, world.plan, world.loop
    for _ in range(plan.processors):
        loop.call_at(chance.random() * 2, world.start_processor)
    for _ in range(chance.choice((1, 2, 3))):
        loop.call_at(chance.random() * plan.trouble_seconds * 0.7, _submit, world)
    troubles = chance.choice((0, 2, 5, 10, 20))
    kinds = chance.sample(list(TROUBLES), k=chance.randint(1, len(TROUBLES)))
    for _ in range(troubles):
        loop.call_at(1 + chance.random() * (plan.trouble_seconds - 1.1), TROUBLES[chance.choice(kinds)], world)
    loop.call_at(plan.trouble_seconds, _clear_up, world)
    bound, forgets = plan.trouble_seconds + CALM_SECONDS, plan.forgets
    while loop.now < bound:
        await asyncio.sleep(LOOK_SECONDS)
        ended = world.clerks.look()
        if forgets and loop.now > plan.trouble_seconds + 1:
            forgets = False
            await forget_offsets(world)
            continue
        if ended and loop.now > plan.trouble_seconds:
            await _stop_all(world)
            return world.clerks.look()
    return False


def _submit(world: World) -> None:
    chance = world.chance
    rows, batches = chance.choice((1, 3, 10, 30)), chance.choice((1, 2, 5))
    job = world.clerks.submit(rows, express=chance.random() < 0.6, batches=batches)
    world.note(f"*** {job.job_id} with {rows} rows")


def _clear_up(world: World) -> None:
    """Nothing goes wrong any more, and at least one processor is there."""
    world.happens("clears up")
    world.troubled = False
    world.weather.clear_up()
    world.network.heal()
    for broker in world.brokers:
        broker.frozen_until = 0.0
    world.clerks.pause(paused=False)
    if not any(not processor.stopping for processor in world.alive):
        world.start_processor()


async def _stop_all(world: World) -> None:
    for processor in world.alive:
        world.stop(processor)
    settled = 4 * world.plan.settings.settling_seconds
    await asyncio.sleep(settled)


# ---- trouble ---------------------------------------------------------------------------------------------------------


def _any_processor(act: Callable[[World, Any], None]) -> Callable[[World], None]:
    def trouble(world: World) -> None:
        alive = [processor for processor in world.alive if not processor.stopping]
        if alive:
            act(world, world.chance.choice(alive))

    return trouble


def _kill(world: World, processor: Any) -> None:
    world.kill(processor)
    world.loop.call_later(world.chance.choice((0.1, 1.0, 10.0)), _start_if_troubled, world)


def _stop(world: World, processor: Any) -> None:
    world.stop(processor)
    world.loop.call_later(world.chance.choice((0.0, 0.1, 3.0)), _start_if_troubled, world)


def _isolate(world: World, processor: Any) -> None:
    """It loses Kafka and keeps the directory: it has to stop sending by itself."""
    seconds = _long(world)
    for address in BROKER_ADDRESSES:
        world.cut(processor, address, seconds)


def _start_if_troubled(world: World) -> None:
    if len([processor for processor in world.alive if not processor.stopping]) < 5:
        world.start_processor()


def _slow_job(world: World) -> None:
    transaction = world.clerks.submit_slowly(world.chance.choice((1, 5)), express=True, batches=1)
    world.note("*** a job whose transaction stays open")
    world.loop.call_later(world.chance.choice((0.1, 2.0, 8.0)), lambda: transaction.end(commit=True))


def _pause(world: World) -> None:
    world.clerks.pause(paused=True)
    world.note("*** sending is paused")
    world.loop.call_later(world.chance.choice((0.1, 2.0)), lambda: world.clerks.pause(paused=False))


def _cancel(world: World) -> None:
    world.note(f"*** cancel {world.clerks.cancel()}")


def _long(world: World) -> float:
    """Seconds: mostly short, sometimes longer than every time-out."""
    return world.chance.choice((0.05, 0.5, 2.0, 5.0, 12.0)) * (0.5 + world.chance.random())


TROUBLES: dict[str, Callable[[World], None]] = {
    "kill": _any_processor(_kill),
    "stop": _any_processor(_stop),
    "freeze": _any_processor(lambda world, processor: world.freeze(processor, _long(world))),
    "start": lambda world: _start_if_troubled(world),
    "cut": _any_processor(lambda world, processor: world.cut(processor, world.chance.choice(ADDRESSES), _long(world))),
    "isolate": _any_processor(_isolate),
    "break": _any_processor(
        lambda world, processor: world.network.break_connections(world.chance.choice(ADDRESSES), processor.machine)
    ),
    "broker freezes": lambda world: world.freeze_broker(_long(world)),
    "broker away": lambda world: world.restart_broker(_long(world)),
    "cancel": _cancel,
    "activate": lambda world: world.clerks.ask_for_activation(),
    "pause": _pause,
    "slow job": _slow_job,
    "aborted": lambda world: world.clerks.submit_in_vain(world.chance.choice((1, 3, 20))),
}


# ---- around it -------------------------------------------------------------------------------------------------------


def _unended(world: World) -> Violation:
    open_jobs = [
        f"{job.job_id} round {job.rounds}: without a result rows "
        f"{sorted(row for row in job.members[job.rounds] if (row, job.rounds) not in job.results)[:10]}"
        for job in world.clerks.jobs.values()
        if job.finished < job.rounds
    ]
    lanes = [
        f"{processor.machine.name} has lanes {sorted(lane.partition for lane in processor.lanes)}"
        for processor in world.alive
    ]
    unanswered = [f"activation {request}" for request in sorted(world.clerks.unanswered())]
    return Violation("it does not end", f"after {world.loop.now:.0f} s", (*open_jobs, *unanswered, *lanes))


@contextmanager
def _log_lines(world: World, *, keep_trace: bool) -> Iterator[None]:
    """The log lines of the services go into the trace."""

    def note(_logger: Any, level: str, line: dict[str, Any]) -> Any:
        event = line.pop("event")
        world.note(f"{event} {' '.join(f'{name}={value}' for name, value in line.items())}")
        raise structlog.DropEvent

    before = structlog.get_config()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    level = logging.INFO if keep_trace else logging.CRITICAL
    structlog.configure(
        processors=[note], wrapper_class=structlog.make_filtering_bound_logger(level), cache_logger_on_first_use=False
    )
    try:
        yield
    finally:
        structlog.configure(**before)
        logging.getLogger("aiokafka").setLevel(logging.NOTSET)


def _dispose(world: World) -> None:
    """Nothing of it ever runs again. It is kept: what is freed would run its `finally` in another simulation."""
    for processor in world.processors:
        world.loop.kill(processor.machine)
    _ENDED.append((world, list(asyncio.all_tasks(world.loop))))
    world.loop.close()
    asyncio.set_event_loop(None)
