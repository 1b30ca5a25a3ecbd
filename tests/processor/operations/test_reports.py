"""What a processor reports of itself, as ProcessorReported and as metrics."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY

from services.processor import metrics
from services.processor.operations.reports import Reports
from services.processor.settings import ProcessorSettings
from shared.contract.events import BreakerState, LaneReport, ProcessorReported

EVERY_LANE = LaneReport(partition=4, in_flight=1, waiting=2, window_used=5, lag_rows=7, lag_seconds=1.5)


class FakeLane:
    """A lane with a fixed report."""

    partition = EVERY_LANE.partition

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


@pytest.fixture
def lane_consumer():
    return FakeLaneConsumer()


@pytest.fixture
def reports(lane_consumer):
    breaker, rate_limit = SimpleNamespace(state=BreakerState.OPEN), SimpleNamespace(retry_after_seconds=30.0)
    job_commands = SimpleNamespace(paused=True)

    async def publish(_):
        raise AssertionError("nothing is published here")

    return Reports(ProcessorSettings(instance_id="p-1"), lane_consumer, breaker, rate_limit, job_commands, publish)


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
