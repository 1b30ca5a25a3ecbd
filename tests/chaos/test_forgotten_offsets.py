"""Kafka forgets where the processors stood: their lanes stop loudly, and an operator says where they go on."""

from collections.abc import Callable

from tests.chaos.conftest import Kept
from tests.chaos.size import FASTER_SETTINGS, sized
from tests.support.audit import activate, finish_and_audit
from tests.support.processor.forgotten_group import forget_group
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_process import Processor
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

ROWS = sized(100, 2000)
PARTITIONS = sized(2, 6)


async def test_the_group_is_deleted_between_two_jobs(make_system: Callable[..., ProcessorSystem], kept: Kept):
    """The first job is not sent again, the second is sent as a whole, and no process ends."""
    system = await make_system(**FASTER_SETTINGS, KAFKA_TOPIC_PARTITIONS=str(PARTITIONS))
    await system.start_processors(2)
    first, second = make_job(ROWS), make_job(ROWS)
    await system.publish(first)
    await system.wait_for_results(ROWS, 60)
    await activate(system, first)
    await system.stop_processors()
    before = (await system.admin("stats"))["requests_total"]
    noted = offsets(await system.run_command("offsets", "show"), system.topics.rows_express)
    await forget_group(system.settings)
    await system.publish(second)

    stopped = [await system.start_processor() for _ in range(2)]
    await until("every lane has stopped", lambda: stopped_lanes(stopped) == set(range(PARTITIONS)), 60)
    says = [line["reason"] for each in stopped for line in each.logged("lane_stopped")]
    assert all("python -m services.processor offsets set" in reason for reason in says), says
    assert [await each.health() for each in stopped] == [{"status": "alive"}] * 2
    refusal = await system.run_command("offsets", "set", "--all", "--to", "end", status=2)
    assert "2 processors are running" in refusal
    await system.stop_processors()
    assert (await system.admin("stats"))["requests_total"] == before, "sent from a lane that nobody has set"

    await system.run_command("offsets", "set", "--all", "--to", "end")
    for partition, offset in noted.items():
        where = ("--topic", system.topics.rows_express, "--partition", str(partition), "--to", str(offset))
        await system.run_command("offsets", "set", *where)
    await system.start_processors(2)
    await system.wait_for_results(2 * ROWS, 60)
    await activate(system, second)
    audit = await finish_and_audit(system, first, second, seconds=1)
    assert audit.kinds == {"RowCreated": 2 * ROWS}
    kept(f"group deleted between two jobs: {PARTITIONS} lanes stopped, set by hand; {audit.summary()}")


def stopped_lanes(processors: list[Processor]) -> set[int]:
    """The lanes that have said that they stop."""
    return {line["partition"] for each in processors for line in each.logged("lane_stopped")}


def offsets(shown: str, topic: str) -> dict[int, int]:
    """By partition of a topic: the committed offset, from what `offsets show` has printed."""
    lines = [line.split("\t") for line in shown.splitlines() if line.startswith(f"{topic}-")]
    return {int(name.removeprefix(f"{topic}-")): int(committed) for name, committed, *_ in lines}
