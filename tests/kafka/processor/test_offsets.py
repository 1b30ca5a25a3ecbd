"""A group that Kafka has forgotten: the lanes stop, and an operator says where they go on."""

import asyncio
import io

import pytest
from aiokafka import TopicPartition

from services.processor.operations.offsets import OffsetsRefused, set_offsets, show_offsets
from shared.contract.events import RowCreated, RowFailed
from tests.support.processor.forgotten_group import forget_group
from tests.support.processor.installation import TIMEOUT_SECONDS, rows, running_installation
from tests.support.until import until


@pytest.fixture
async def installation(kafka_bootstrap, topic_prefix):
    """One lane."""
    async with running_installation(kafka_bootstrap, topic_prefix, kafka_topic_partitions=1) as installation:
        yield installation


async def set_all(installation, to):
    return await set_offsets(installation.settings, to, None, None, io.StringIO())


async def test_forgotten_offsets_stop_the_lane_until_somebody_sets_them(installation):
    """Rows that were rejected, and created from a corrected file since, would all be created once more."""
    installation.sandbox.inject(name_rules=[{"contains": "St. Mary", "status": 422}])
    async with installation.processing():
        await installation.write(*rows(5))
        await installation.results(5)
        installation.sandbox.inject(name_rules=[])
        await installation.write(*rows(5, job_id="corrected"))
        assert [type(each) for each in await installation.results(10)] == [RowFailed] * 5 + [RowCreated] * 5
    await forget_group(installation.settings)
    async with installation.processing() as engine:

        async def stopped() -> bool:
            try:
                await engine.lane_consumer.check_lanes()
            except RuntimeError as reason:
                return "python -m services.processor offsets set" in str(reason)
            return False

        await until("the lane has stopped", stopped, TIMEOUT_SECONDS)
        with pytest.raises(OffsetsRefused, match="1 processors are running"):
            await set_all(installation, "end")
        consumer = engine.lane_consumer._subscriber.consumer
        assert await consumer.position(TopicPartition(installation.topics.rows_express, 0)) == 0  # known: nobody asks
    assert installation.sandbox.request_log.creates == 5
    assert await set_all(installation, "end") == 3
    async with installation.processing():
        await installation.write(*rows(2, job_id="later", batch_id="b2"))
        found = await installation.results(12)
    assert len(found) == 12
    assert installation.sandbox.request_log.creates == 7


async def test_offsets_are_shown_and_set_one_by_one(installation):
    """With what the topic holds; what is not there is refused."""
    express = installation.topics.rows_express
    async with installation.processing():
        await installation.write(*rows(5))
        await installation.results(5)
    out = io.StringIO()
    assert await show_offsets(installation.settings, out) == 3
    lines = out.getvalue().splitlines()
    assert lines[0].split("\t") == ["partition", "committed", "beginning", "end", "lag", "horizon"]
    assert f"{express}-0\t6\t0\t6\t0\t6" in lines
    out = io.StringIO()
    assert await set_offsets(installation.settings, "3", express, 0, out) == 1
    assert out.getvalue() == f"{express}-0\t6 -> 3\n"
    await show_offsets(installation.settings, out)
    assert f"{express}-0\t3\t0\t6\t3\tall" in out.getvalue()
    for to, topic in (("7", express), ("now", express), ("end", "another")):
        with pytest.raises(OffsetsRefused, match=r"is no (offset|partition)"):
            await set_offsets(installation.settings, to, topic, 0, out)


async def test_a_group_without_offsets_is_set_as_a_whole(installation):
    """A lane that is left out would begin at the beginning: the others have offsets then."""
    async with installation.processing():
        await asyncio.sleep(0)
    await set_all(installation, "end")
    await forget_group(installation.settings)
    with pytest.raises(OffsetsRefused, match="--all first"):
        await set_offsets(installation.settings, "end", installation.topics.rows_express, 0, io.StringIO())
    assert await set_all(installation, "beginning") == 3
