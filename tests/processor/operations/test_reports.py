"""What a processor reports of itself, as ProcessorReported and as metrics."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError
from prometheus_client import REGISTRY

from services.processor import metrics
from services.processor.operations.reports import Reports
from services.processor.settings import ProcessorSettings
from shared.contract.events import BreakerState, LaneReport, ProcessorReported, RateSlotsReport
from tests.support.until import until

EVERY_LANE = LaneReport(partition=4, in_flight=1, waiting=2, window_used=5, lag_rows=7, lag_seconds=1.5)


class FakeLane:
    """A lane with a fixed report."""

    partition = EVERY_LANE.partition
    ended = False

    def report(self, end_offsets):
        return EVERY_LANE


@dataclass
class FakeLaneConsumer:
    """The lanes that are here."""

    lanes: list[FakeLane] = field(default_factory=lambda: [FakeLane()])

    def running_lanes(self):
        return self.lanes


class FakeConsumer:
    """Knows no topic's end."""

    async def end_offsets(self, partitions):
        return {}


class FakeRateLimit:
    """Has something to say of its slots that cannot wait, once for each `urgent`."""

    retry_after_seconds = 30.0

    def __init__(self):
        self.urgent = asyncio.Semaphore(0)
        self.gets_slots = False

    def slots_report(self):
        return RateSlotsReport(processor="p", interval=0.1, time=1.0, wants_slots=True)

    async def until_urgent(self):
        await self.urgent.acquire()

    def leave(self):
        return self.gets_slots


@pytest.fixture
def rate_limit():
    return FakeRateLimit()


@pytest.fixture
def lane_consumer():
    return FakeLaneConsumer()


@pytest.fixture
def published():
    return []


@pytest.fixture
def now():
    """The monotonic time, a list of one."""
    return [1000.0]


@pytest.fixture
def reports(lane_consumer, rate_limit, published, now):
    breaker, job_commands = SimpleNamespace(state=BreakerState.OPEN), SimpleNamespace(paused=True)

    async def publish(event):
        published.append(event)

    settings = ProcessorSettings(instance_id="p-1")
    return Reports(settings, lane_consumer, breaker, rate_limit, job_commands, publish, lambda: now[0])


async def report(reports) -> ProcessorReported:
    return reports._report(await reports._lanes(FakeConsumer()))


async def test_a_report_has_what_an_engineer_on_call_asks_first(reports):
    """Breaker, pause, Retry-After, rate limit, lanes; then what commits cost, and what has happened since the start."""
    before = await report(reports)
    assert (before.instance, before.breaker, before.paused) == ("p-1", BreakerState.OPEN, True)
    assert before.rate_limit == 10.0
    assert before.retry_after_until > before.occurred_at
    assert before.lanes == (EVERY_LANE,)
    metrics.CALLS.labels("look_up", "Listed").inc(2)
    metrics.CALLS.labels("create", "Created").inc(5)
    metrics.SLOTS.labels("used").inc(7)
    metrics.SLOTS.labels("wasted").inc()
    metrics.RETRY_AFTER_WAITS.inc()
    metrics.TAKEOVERS.inc(3)
    metrics.FENCED.inc()
    metrics.COMMIT_SECONDS.observe(0.02)
    metrics.COMMIT_SECONDS.observe(0.04)
    metrics.RESULTS.labels("RowCreated").inc(60)
    after = await report(reports)
    assert after.commit_seconds == pytest.approx(0.03)
    assert after.rows_per_second > before.rows_per_second
    counters = ("look_ups", "slots_used", "slots_wasted", "retry_after_waits", "takeovers", "fenced")
    assert [getattr(after, name) - getattr(before, name) for name in counters] == [2, 7, 1, 1, 3, 1]
    assert (await report(reports)).commit_seconds == 0


async def test_the_rate_is_that_of_the_last_minute(reports, now):
    """However many reports there were in it."""
    for finished, passed, expected in ((0, 30, 0), (60, 1, 60 / 31), (0, 20, 60 / 51), (0, 10, 60 / 61), (30, 50, 0.5)):
        now[0] += passed
        metrics.RESULTS.labels("RowCreated").inc(finished)
        assert (await report(reports)).rows_per_second == pytest.approx(expected, abs=0.001)


@asynccontextmanager
async def running(reports, consumer=FakeConsumer):
    task = asyncio.create_task(reports.run(consumer))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_what_it_says_of_slots_does_not_wait_for_the_next_report(reports, rate_limit, published):
    """Others, or its own rows, wait for it."""
    async with running(reports):
        await until("the first report", lambda: len(published) == 1, 1)
        rate_limit.urgent.release()
        await until("the next one", lambda: len(published) == 2, 1)
    assert published[1].rate_slots == rate_limit.slots_report()
    assert published[1].lanes == published[0].lanes == (EVERY_LANE,)


@pytest.mark.parametrize("gets_slots", [False, True])
async def test_the_last_report_says_that_no_slots_are_wanted(reports, rate_limit, published, gets_slots):
    """Otherwise others would go on giving slots to a processor that has ended in order."""
    rate_limit.gets_slots = gets_slots
    async with running(reports):
        await until("the first report", lambda: len(published) == 1, 1)
    assert len(published) == 1 + gets_slots


async def test_lanes_whose_ends_nobody_knows_hold_up_no_report(reports, published):
    """A partition without a leader: the other lanes go on, and need their slots."""

    class Failing:
        async def end_offsets(self, partitions):
            raise KafkaConnectionError("no leader")

    async with running(reports, Failing):
        await until("a report", lambda: len(published) == 1, 1)


async def test_a_lane_that_ends_while_the_ends_are_asked_for_is_left_out(reports, lane_consumer):
    """It has dropped its rows: what it would say of them is of no lane of ours any more."""

    class EndsMeanwhile(FakeConsumer):
        async def end_offsets(self, partitions):
            lane_consumer.lanes[0].ended = True
            return {}

    assert await reports._lanes(EndsMeanwhile()) == ()


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"hospital_processor_lane_{name}", {"partition": "4", **labels})


async def test_a_lane_that_went_elsewhere_is_not_shown_here_any_more(reports, lane_consumer):
    """Otherwise its last figures would stay, and an alert with them."""
    await reports._lanes(FakeConsumer())
    rows = {state: shown("rows", state=state) for state in metrics.LANE_STATES}
    assert rows == {"in_flight": 1, "waiting": 2, "window": 5}
    assert (shown("lag_rows"), shown("lag_seconds")) == (7, 1.5)
    lane_consumer.lanes = []
    await reports._lanes(FakeConsumer())
    rows = {state: shown("rows", state=state) for state in metrics.LANE_STATES}
    assert set(rows.values()) == {None}
    assert (shown("lag_rows"), shown("lag_seconds")) == (None, None)
