"""Kafka forgets the group's offsets: the lanes have to stop, until an operator says where they go on."""

import asyncio
import io

from services.processor.operations.offsets import set_offsets
from tests.simulation.processors.world import World
from tests.simulation.virtual_loop import Machine
from tests.support.history import Violation

NOTICED_SECONDS = 4.0
#: Longer than any request to Kafka is late, or a broker frozen: real groups are forgotten after days.
LATEST_REQUEST_SECONDS = 40.0


async def forget_offsets(world: World) -> None:
    """All processors stop, the offsets are forgotten, and processors start: none of them may go on by itself.

    Then the operator follows docs/architecture/operating.md, with `--to beginning`.
    """
    group = world.plan.settings.topics.group("processor")
    await _stop_all(world, group)
    await asyncio.sleep(LATEST_REQUEST_SECONDS)
    world.happens("offsets forgotten")
    world.cluster.groups.forget(group)
    written = any(log.end for log in world.cluster.topics[world.plan.settings.topics.results])
    for _ in range(2):
        world.start_processor()
    calls = len(world.directory.calls)
    await asyncio.sleep(NOTICED_SECONDS)
    if not written:
        return  # a new installation looks alike: it begins
    if len(world.directory.calls) > calls:
        world.crashes.append(Violation("went on although the offsets were forgotten", group, ()))
    await _stop_all(world, group)
    operator = Machine("operator")
    world.happens("operator sets offsets")
    await world.loop.start(operator, set_offsets(world.plan.settings, "beginning", None, None, io.StringIO()))
    world.forgotten = True
    for _ in range(2):
        world.start_processor()


async def _stop_all(world: World, group: str) -> None:
    for processor in world.alive:
        world.stop(processor)
    while world.alive or world.cluster.groups.group(group).members:  # noqa: ASYNC110 - as an operator who looks
        await asyncio.sleep(1.0)
