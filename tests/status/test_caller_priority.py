"""Callers of the API go first: the projection works in short pieces, and pauses while somebody is answered."""

import asyncio
import time
from itertools import count

from services.status.caller_priority import CallerPriority
from services.status.projection.decoding import Decoder
from services.status.projection.transaction import project
from services.status.queries.read_database import ReadDatabase
from shared.contract.cloud_events import encode
from shared.contract.topics import Topics
from tests.support.status.job_histories import JobHistory, event_batch

RESULTS = 1_000
AT_ONCE = 25


class CountingPriority(CallerPriority):
    """Counts how often it yielded."""

    def __init__(self):
        super().__init__()
        self.times = 0

    async def yield_to_callers(self):
        self.times += 1
        await super().yield_to_callers()


def work(seconds=0.003):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def turns_of_others(priority, seconds=0.003):
    """How many turns everybody else gets while the projection works for ten times 3 ms, and yields in between."""
    turns = count()

    async def somebody_else():
        while True:
            await asyncio.sleep(0)
            next(turns)

    other = asyncio.create_task(somebody_else())
    await asyncio.sleep(0)
    for _ in range(10):
        work(seconds)
        await priority.yield_to_callers()
    other.cancel()
    return next(turns)


async def test_while_somebody_is_answered_the_projection_sits_turns_out():
    """An answer takes a dozen of them; with nobody there, none is wasted."""
    priority = CallerPriority()
    assert await turns_of_others(priority) <= 11
    with priority.answering():
        assert await turns_of_others(priority) > 30
    assert await turns_of_others(priority) <= 11


async def test_a_moment_of_work_takes_no_turn_of_the_loop():
    """A turn costs as much as several results."""
    priority = CallerPriority()
    await priority.yield_to_callers()
    assert await turns_of_others(priority, 0.00001) <= 2
    assert await turns_of_others(priority, 0.001) >= 10


async def test_little_work_is_not_followed_by_a_rest():
    """Else callers who ask all the time would nearly stop it: it works for longer than it rests."""
    priority = CallerPriority()
    with priority.answering():
        began = time.monotonic()
        for _ in range(1_000):
            await priority.yield_to_callers()
        assert time.monotonic() - began < 0.5


async def test_a_question_to_the_tables_counts_as_answering_until_it_is_answered(sqlite):
    """Also one that fails."""
    priority = CallerPriority()
    asked = []

    def question(_):
        asked.append(priority._asking)

    await ReadDatabase(sqlite, priority).read(question, 10.0)
    assert (asked, priority._asking) == ([1], 0)


async def test_no_more_than_some_records_are_written_without_yielding(engine):
    """Thousands of results come at once."""
    job, priority = JobHistory(total=RESULTS), CountingPriority()
    await project(engine, [], event_batch(*(job.created(row) for row in range(2, RESULTS + 2))), priority)
    assert priority.times >= RESULTS / AT_ONCE


async def test_no_more_than_some_records_are_decoded_without_yielding():
    """The same before they are written."""

    class Record:
        topic, partition, offset, timestamp = "hospital.results", 0, 1, 0

        def __init__(self, event):
            record = encode(event, "test")
            self.key, self.value, self.headers = record.key, record.value, record.headers

    job, priority = JobHistory(total=RESULTS), CountingPriority()
    records = [Record(job.created(row)) for row in range(2, RESULTS + 2)]
    delivered = await Decoder(Topics(), None, priority).decode(records)
    assert len(delivered.results) == RESULTS
    assert priority.times >= RESULTS / AT_ONCE
