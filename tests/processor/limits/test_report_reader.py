"""What is read of other processors' reports, whatever stands on the topic."""

from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError

from services.processor.limits.rate_limit import RateLimit
from services.processor.limits.report_reader import ReportReader
from shared.contract.cloud_events import encode
from shared.contract.events import ProcessorReported, RateSlotsReport, SendingPaused

REPORT = ProcessorReported(
    instance="i", breaker="closed", rate_slots=RateSlotsReport(processor="other", interval=0.105, time=1.0)
)


class FakeRateLimit:
    """Keeps what it is given."""

    def __init__(self):
        self.applied = []

    def apply(self, report, age):
        self.applied.append((report, age))


def record(event, offset=0, value=None):
    encoded = encode(event, "test")
    return SimpleNamespace(headers=encoded.headers, value=value or encoded.value, offset=offset)


def test_only_of_old_reports_their_clock_says_how_old_they_are():
    """What comes in now is of now, whatever its clock says."""
    limit = FakeRateLimit()
    wall = REPORT.occurred_at.timestamp() + 40
    ReportReader(limit, wall_clock=lambda: wall).apply([record(REPORT, 6), record(REPORT, 7)], 7)
    assert limit.applied == [(REPORT, pytest.approx(40)), (REPORT, 0)]


@pytest.mark.parametrize(
    "change",
    [
        (b'"time":1.0', b'"time":1e300'),
        (b'"time":1.0', b'"time":1e11'),
        (b'"time":1.0', b'"time":NaN'),
        (b'"grant":null', b'"grant":{"first":0,"end":%d,"to":["x"]}' % 10**400),
        (b'"grant":null', b'"grant":{"first":9,"end":1,"to":["x"]}'),
        (b'"grant":null', b'"grant":{"first":0,"end":9,"to":[]}'),
        (b'"interval":0.105', b'"interval":1e-320'),
        (b'"instance":"i"', b'"instance":7'),
    ],
)
async def test_no_record_breaks_the_reader(change):
    """It is one partition for all processors: one bad record would end every one of them."""
    limit = RateLimit(10, 1.0, 6, "me")
    value = encode(REPORT, "test").value
    assert change[0] in value
    bad = record(REPORT, value=value.replace(*change))
    pause = SendingPaused(request_id="r")
    ReportReader(limit).apply([bad, record(pause), record(REPORT)], 0)
    written = REPORT.model_copy(update={"rate_slots": limit.slots_report()})
    ReportReader(limit).apply([record(written)], 0)
    assert limit.slots_report().time < 2e10


class FakeConsumer:
    """A partition with these offsets. Its first poll ends the reader."""

    def __init__(self, beginning, end):
        self.beginning, self.end, self.sought = beginning, end, None

    def assignment(self):
        return {"partition"}

    async def beginning_offsets(self, _):
        return {"partition": self.beginning}

    async def end_offsets(self, _):
        return {"partition": self.end}

    def seek(self, _, offset):
        self.sought = offset

    async def getmany(self, timeout_ms):
        raise KafkaConnectionError


@pytest.mark.parametrize(("beginning", "end", "sought"), [(0, 3, 0), (7, 5006, 7), (0, 10**6, 10**6 - 5000)])
async def test_a_topic_of_a_million_reports_delays_no_start(beginning, end, sought):
    """Grants of slots are of the last minute."""
    consumer = FakeConsumer(beginning, end)
    with pytest.raises(KafkaConnectionError):
        await ReportReader(FakeRateLimit()).run(consumer)
    assert consumer.sought == sought


async def test_readiness_says_when_the_topic_cannot_be_read():
    """For example because the processor may not: a right that version 0.1.0 did not need."""
    now = [0.0]
    reader = ReportReader(FakeRateLimit(), lambda: now[0])
    now[0] = 29.0
    await reader.check()
    now[0] = 31.0
    with pytest.raises(RuntimeError, match="could not be read for 31 s"):
        await reader.check()
    reader.last_poll = 20.0
    await reader.check()
