"""What a processor reports of itself, as ProcessorReported and as metrics."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError
from prometheus_client import REGISTRY

from services.processor import metrics
from services.processor.operations.reports import LOOK_SECONDS, Reports
from services.processor.settings import ProcessorSettings
from shared.contract.events import BreakerState, JobInDoubt, LaneReport, ProcessorReported, RateSlotsReport
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
    taking_over: frozenset[int] = frozenset()

    def being_taken_over(self):
        return self.taking_over

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
def breakers():
    """Open, and closed again when a test says so."""
    return SimpleNamespace(state=BreakerState.OPEN, seconds_until_try=20.0)


@pytest.fixture
def job_commands():
    return SimpleNamespace(paused=True)


@pytest.fixture
def in_doubt():
    """The jobs with rows in doubt."""
    return [JobInDoubt(job_id="j", rows=3)]


@pytest.fixture
def now():
    """The monotonic time, a list of one."""
    return [1000.0]


@pytest.fixture
def reports(lane_consumer, breakers, rate_limit, job_commands, in_doubt, published, now):
    async def publish(event):
        published.append(event)

    settings = ProcessorSettings(instance_id="p-1")
    parts = (lane_consumer, breakers, rate_limit, job_commands, lambda: tuple(in_doubt))
    return Reports(settings, *parts, publish, lambda: now[0])


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


async def test_a_report_says_what_holds_jobs_up(reports, lane_consumer, breakers, in_doubt, published):
    """The next try of an open breaker, how many connections could be in use, rows in doubt, lanes without a sender."""
    lane_consumer.taking_over = frozenset({4, 7, 5})
    async with running(reports):
        await until("the first report", lambda: len(published) == 1, 1)
    [found] = published
    assert found.next_try_at - found.occurred_at == pytest.approx(timedelta(seconds=20), abs=timedelta(seconds=1))
    assert found.connections == ProcessorSettings().hospital_api_max_connections
    assert found.jobs_in_doubt == tuple(in_doubt)
    assert found.lanes == (EVERY_LANE, *(LaneReport(partition=index, taking_over=True) for index in (5, 7)))
    breakers.seconds_until_try = None
    assert (await report(reports)).next_try_at is None


CHANGES = {
    "the breaker closes": lambda breakers, _commands, _lanes: setattr(breakers, "state", BreakerState.CLOSED),
    "sending is resumed": lambda _breakers, commands, _lanes: setattr(commands, "paused", False),
    "a takeover begins": lambda _breakers, _commands, lanes: setattr(lanes, "taking_over", frozenset({5})),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_holds_jobs_up_is_told_at_once_but_not_too_often(
    reports, breakers, job_commands, lane_consumer, in_doubt, published, change
):
    """Whoever watches a job sees an outage in a moment, with what is in doubt by then."""
    async with running(reports):
        await until("the first report", lambda: len(published) == 1, 1)
        await asyncio.sleep(1.2 * LOOK_SECONDS)
        assert len(published) == 1
        in_doubt.append(JobInDoubt(job_id="k", rows=1))
        change(breakers, job_commands, lane_consumer)
        await until("the next one", lambda: len(published) == 2, 2 * LOOK_SECONDS)
        assert published[1].jobs_in_doubt == tuple(in_doubt)
        began = time.monotonic()
        for state in (*BreakerState, *BreakerState):
            breakers.state = state
            await asyncio.sleep(0.1)
        assert len(published) - 2 <= 1 + (time.monotonic() - began) / 0.5


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
