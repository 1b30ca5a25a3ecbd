"""Callers of the API go first: what the projection does at a time is little, and less while somebody is answered."""

import asyncio
import time
from itertools import count

from services.status.caller_priority import Courtesy
from services.status.projection.decoding import Decoder
from services.status.projection.transaction import project
from services.status.queries.read_database import Database
from shared.contract.cloud_events import encode
from shared.contract.topics import Topics
from tests.support.status.job_histories import Story, delivery

RESULTS = 1_000
AT_ONCE = 25


class Counted(Courtesy):
    """Counts how often it gave way."""

    def __init__(self):
        super().__init__()
        self.times = 0

    async def give_way(self):
        self.times += 1
        await super().give_way()


def work(seconds=0.003):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def turns_of_others(courtesy, seconds=0.003):
    """How many turns everybody else gets while the projection works for ten times 3 ms, and gives way in between."""
    turns = count()

    async def somebody_else():
        while True:
            await asyncio.sleep(0)
            next(turns)

    other = asyncio.create_task(somebody_else())
    await asyncio.sleep(0)
    for _ in range(10):
        work(seconds)
        await courtesy.give_way()
    other.cancel()
    return next(turns)


async def test_while_somebody_is_answered_the_projection_sits_turns_out():
    """An answer takes a dozen of them; with nobody there, none is wasted."""
    courtesy = Courtesy()
    assert await turns_of_others(courtesy) <= 11
    with courtesy.answering():
        assert await turns_of_others(courtesy) > 30
    assert await turns_of_others(courtesy) <= 11


async def test_a_moment_of_work_takes_no_turn_of_the_loop():
    """A turn costs as much as several results."""
    courtesy = Courtesy()
    await courtesy.give_way()
    assert await turns_of_others(courtesy, 0.00001) <= 2
    assert await turns_of_others(courtesy, 0.001) >= 10


async def test_little_work_is_not_followed_by_a_rest():
    """Else callers who ask all the time would nearly stop it: it works for longer than it rests."""
    courtesy = Courtesy()
    with courtesy.answering():
        began = time.monotonic()
        for _ in range(1_000):
            await courtesy.give_way()
        assert time.monotonic() - began < 0.5


async def test_a_question_to_the_tables_counts_as_answering_until_it_is_answered(sqlite):
    """Also one that fails."""
    courtesy = Courtesy()
    asked = []

    async def question(_):
        asked.append(courtesy._asking)

    await Database(sqlite, courtesy).read(question)
    assert (asked, courtesy._asking) == ([1], 0)


async def test_no_more_than_a_helping_is_written_without_giving_way(engine):
    """Thousands of results come at once."""
    story, courtesy = Story(total=RESULTS), Counted()
    await project(engine, [], delivery(*(story.created(row) for row in range(2, RESULTS + 2))), courtesy)
    assert courtesy.times >= RESULTS / AT_ONCE


async def test_no_more_than_a_helping_is_decoded_without_giving_way():
    """The same before they are written."""

    class Record:
        topic, partition, offset, timestamp = "hospital.results", 0, 1, 0

        def __init__(self, event):
            record = encode(event, "test")
            self.key, self.value, self.headers = record.key, record.value, record.headers

    story, courtesy = Story(total=RESULTS), Counted()
    records = [Record(story.created(row)) for row in range(2, RESULTS + 2)]
    delivered = await Decoder(Topics(), None, courtesy).decode(records)
    assert len(delivered.results) == RESULTS
    assert courtesy.times >= RESULTS / AT_ONCE
