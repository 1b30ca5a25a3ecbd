"""The course of a simulation of processors: trouble for a while, then calm until everything has ended."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.simulation.processors import directory
from tests.simulation.processors.forgotten import forget_offsets
from tests.simulation.processors.lasting import Lasting
from tests.simulation.processors.world import ADDRESSES, BROKER_ADDRESSES, World
from tests.support.history import Violation

#: After the trouble everything has to end within so many simulated seconds.
CALM_SECONDS = 300.0
LOOK_SECONDS = 0.5


class ProcessorWorld(World):
    """A simulation of processors, with its course."""

    async def live(self) -> bool:
        """The trouble, and then the calm. Returns whether everything ended."""
        return await _live(self)

    def check(self, *, complete: bool) -> list[Violation]:
        """The broken promises, and what has not ended."""
        return [*super().check(complete=complete), *([] if complete else unended(self))]


async def _live(world: World) -> bool:
    """The trouble, and then the calm. Returns whether everything ended."""
    chance, plan, loop = world.chance, world.plan, world.loop
    for _ in range(plan.processors):
        loop.call_at(chance.random() * 2, world.start_processor)
    for _ in range(chance.choice(plan.jobs)):
        loop.call_at(chance.random() * plan.trouble_seconds * 0.7, _submit, world)
    lasting = Lasting(world)
    lasting.begin()
    troubles = chance.choice(plan.troubles)
    kinds = plan.kinds or chance.sample(list(TROUBLES), k=chance.randint(1, len(TROUBLES)))
    for _ in range(troubles):
        loop.call_at(1 + chance.random() * (plan.trouble_seconds - 1.1), TROUBLES[chance.choice(kinds)], world)
    loop.call_at(plan.trouble_seconds, _clear_up, world)
    bound, forgets = plan.trouble_seconds + CALM_SECONDS, plan.forgets
    while loop.now < bound:
        await asyncio.sleep(LOOK_SECONDS)
        ended = world.look()
        lasting.look()
        if forgets and loop.now > plan.trouble_seconds + 1:
            forgets = False
            await forget_offsets(world)
            continue
        if ended and loop.now > plan.trouble_seconds and not lasting.lasts:
            await _stop_all(world)
            return world.clerks.look()
    return False


def _submit(world: World) -> None:
    chance = world.chance
    rows, batches = chance.choice(world.plan.rows), chance.choice((1, 2, 5))
    job = world.clerks.submit(rows, express=chance.random() < 0.6, batches=batches)
    world.note(f"*** {job.job_id} with {rows} rows")


def _clear_up(world: World) -> None:
    """Nothing goes wrong any more, and at least one processor is there."""
    world.happens("clears up")
    world.troubled = False
    world.weather.clear_up()
    world.heal()
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
    "cut from the directory": _any_processor(
        lambda world, processor: world.cut(processor, directory.ADDRESS, world.chance.uniform(0.3, 6.0))
    ),
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


def unended(world: World) -> list[Violation]:
    """What has not ended."""
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
    return [Violation("it does not end", f"after {world.loop.now:.0f} s", (*open_jobs, *unanswered, *lanes))]
