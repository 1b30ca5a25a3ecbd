"""A broker that is frozen, killed, and back: no result is lost, no process ends, and nothing is left open."""

import asyncio
from contextlib import suppress

import pytest

from services.processor.lane.lane import Lane
from services.processor.lane.ownership import LaneEnd
from services.processor.lane.takeover import Takeover
from services.processor.lane.transactions import LaneTransactions
from services.processor.memory.budget import MemoryBudget
from services.processor.offsets.watermark import Watermark
from services.processor.subscriptions import lane_topics
from tests.support.processor.frozen_producers import assert_nothing_is_left
from tests.support.processor.installation import rows, running_installation
from tests.support.processor.lane_doubles import FakeConsumer, accepted, admit, finish
from tests.support.until import until

FREEZES = 2


@pytest.fixture
async def broker(own_broker):
    """A broker of this test's own."""
    return own_broker()


@pytest.fixture
async def installation(broker, topic_prefix):
    """Two lanes on it."""
    async with running_installation(broker.bootstrap, topic_prefix) as installation:
        yield installation


def beginning(installation):
    return {topic: Watermark(0, 0) for topic in lane_topics(installation.topics)}


async def test_a_hand_over_that_a_frozen_broker_cuts_off_loses_no_result(installation, broker):
    """The result that its commit had taken is in no other place: the lane must not commit the offset past it."""
    settings = installation.settings
    transactions = LaneTransactions(settings, 0)
    await transactions.open()
    takeover = Takeover(transactions, beginning(installation), clean=True, unowned=False)
    lane = Lane(
        settings, 0, FakeConsumer(), takeover, NotCancelled(), lambda: None, lambda *_: None, MemoryBudget(10**9).lane()
    )
    admit(lane, accepted(2), topic=installation.topics.rows_express)
    await lane.committer.commit()  # the permit; nobody has asked for the metadata of the results yet
    row = lane.next_row(installation.topics.rows_express)
    lane.call_begins(row)
    broker.pause()
    leaving = asyncio.create_task(lane.hand_over())
    await asyncio.sleep(0)
    finish(lane, row, row.created(4711))
    lane.call_ended()
    await asyncio.wait([leaving], timeout=1)
    leaving.cancel()
    with suppress(asyncio.CancelledError):
        await leaving
    broker.resume()
    await lane.committer.commit()
    await transactions.close()
    assert lane.end is LaneEnd.INDEFINITE
    assert {at.topic: offset for at, (offset, _) in (await installation.commits()).items()} == dict.fromkeys(
        lane_topics(installation.topics), 0
    )


class NotCancelled:
    """No job is cancelled."""

    def is_cancelled(self, job_id: str, round_: int) -> bool:
        return False


async def test_producers_whose_broker_froze_leave_nothing(installation, broker):
    """Neither tasks nor sockets."""
    await assert_nothing_is_left(installation.settings, broker, FREEZES)


async def test_an_engine_outlives_a_broker_that_is_killed_back_and_frozen(installation, broker):
    """With empty metadata aiokafka only asserts: both processors of an installation ended with that."""
    async with installation.processing(hospital_api_max_connections=4) as engine:
        await installation.owns(engine, 0, 1)
        for number in range(FREEZES):
            await installation.write(*rows(100, job_id=f"job {number}", batch_id=f"batch {number}"))
            begun = 100 * number + 10
            await until("it works", lambda begun=begun: installation.sandbox.request_log.creates > begun, 60)
            await asyncio.to_thread(broker.kill)
            await broker.start_async()
            await asyncio.sleep(0.5)
            broker.pause()
            await asyncio.sleep(11)
            broker.resume()
            await installation.owns(engine, 0, 1)
        found = await installation.results(100 * FREEZES)
    assert len(found) == 100 * FREEZES
    assert installation.sandbox.request_log.creates == 100 * FREEZES
    assert installation.sandbox.request_log.doubles_total == 0
