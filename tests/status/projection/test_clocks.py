"""Processors whose clocks are wrong: they hide nobody's report, and are gone when they are silent."""

import pytest
from aiokafka import ConsumerRecord
from sqlalchemy import select

from services.status.model.eta import WaitingFor, Work, waiting_for
from services.status.model.timestamps import micros
from services.status.projection.decoding import Decoder
from services.status.projection.transaction import project
from services.status.queries import job_queries
from services.status.queries.job_queries import JobFilter
from services.status.queries.job_summaries import job_answer
from services.status.queries.responses import job_list
from services.status.tables.definitions import processors
from shared.contract.cloud_events import encode
from shared.contract.events import LaneReport
from shared.contract.topics import Topics
from tests.support.status.job_histories import JobHistory, apply_events, at, report
from tests.support.status.status_api import FakeClock

TOPICS = Topics()
LANES = (LaneReport(partition=0),)
HOUR, DAY = 3_600, 86_400


class Arrivals:
    """Reads reports as they come in, one by one, at times that the test says."""

    def __init__(self, engine):
        self._engine = engine
        self._clock = FakeClock()
        self._decoder = Decoder(TOPICS, None, clock=self._clock)

    async def read(self, seconds, said, *, live=True):
        self._clock.set(seconds)
        encoded = encode(said, "processor")
        headers = tuple(encoded.headers)
        stamp = micros(said.occurred_at) // 1_000  # Kafka keeps the producer's time
        record = ConsumerRecord(
            TOPICS.processors, 0, 0, stamp, 0, encoded.key, encoded.value, None, 0, 0, headers=headers
        )
        await project(self._engine, [], await self._decoder.decode([record], live=live))

    async def waits_for(self, seconds):
        """What a job waits for at that time."""
        async with self._engine.connect() as connection:
            reports = await connection.run_sync(job_queries.reports)
        return waiting_for(Work(10), reports, at(seconds))


@pytest.mark.parametrize("wrong_by", [-DAY, -HOUR, HOUR, DAY])
async def test_a_wrong_clock_hides_nobody_elses_report(engine, wrong_by):
    """One processor says that all are paused; the other's clock is wrong."""
    arrivals = Arrivals(engine)
    for seconds in range(0, 60, 5):
        await arrivals.read(seconds, report("wrong", seconds + wrong_by, lanes=LANES))
        await arrivals.read(seconds, report("right", seconds, paused=True, lanes=LANES))
    assert await arrivals.waits_for(60) is WaitingFor.PAUSED
    async with engine.connect() as connection:
        known = set((await connection.execute(select(processors.c.instance))).scalars())
    assert known == {"wrong", "right"}


@pytest.mark.parametrize("wrong_by", [-DAY, -HOUR, HOUR, DAY])
async def test_a_processor_with_a_wrong_clock_is_present_while_it_reports_and_gone_when_it_is_silent(engine, wrong_by):
    """As every other: 15 s after its last report it is gone."""
    arrivals = Arrivals(engine)
    await arrivals.read(0, report("wrong", wrong_by, lanes=LANES))
    assert await arrivals.waits_for(10) is None
    assert await arrivals.waits_for(20) is WaitingFor.NO_PROCESSOR


async def test_a_clock_that_is_put_right_makes_no_report_older_than_the_one_before(engine):
    """It was a day ahead, and said that it was not paused."""
    arrivals = Arrivals(engine)
    await arrivals.read(0, report("p", DAY, lanes=LANES))
    await arrivals.read(5, report("p", 5, paused=True, lanes=LANES))
    assert await arrivals.waits_for(6) is WaitingFor.PAUSED


async def test_a_report_that_is_read_again_makes_no_dead_processor_present(engine):
    """As when the tables are made again."""
    arrivals = Arrivals(engine)
    await arrivals.read(HOUR, report("dead", 0, lanes=LANES), live=False)
    assert await arrivals.waits_for(HOUR) is WaitingFor.NO_PROCESSOR


@pytest.mark.parametrize("question", ["one", "many"])
async def test_results_of_a_processor_whose_clock_is_ahead_do_not_shorten_what_is_left(sqlite, question):
    """Its results are of an hour that has not come: nobody knows the pace, and the estimate is that of the limit."""
    job = JobHistory(total=100)
    said = report(seconds=0, lanes=LANES, rate_limit=1.0)
    await apply_events(sqlite, job.accepted(), said, *(job.created(row, seconds=HOUR) for row in range(2, 52)))
    async with sqlite.connect() as connection:
        if question == "one":
            answer = await connection.run_sync(job_answer, None, "job-1", at(5))
            left = answer.eta_seconds
        else:
            [listed] = (await connection.run_sync(job_list, None, JobFilter(), None, 9, at(5))).jobs
            left = listed.eta_seconds
    assert left == 50.0
