"""What works for as long as the process lives goes on after an error that nobody expected."""

import asyncio
import contextlib

import pytest
from aiokafka import TopicPartition

from services.status.lifecycle.due_commands import DueCommands
from services.status.lifecycle.finishing import Finishing, FinishingLimits
from services.status.lifecycle.matching import Matching
from services.status.lifecycle.retention import Retention
from services.status.projection.positions import Positions
from services.status.service import count_jobs
from services.status.tables.change_signal import ChangeSignal
from services.status.webhooks.job_ends import JobEnds
from tests.support.status.job_histories import SETTLING_SECONDS, at
from tests.support.status.status_api import JOBS, FakePublisher

SOON = 0.01


class BrokenDatabase:
    """An engine, and a ReadDatabase, whose driver raises what is no error of SQLAlchemy."""

    def __init__(self):
        self.asked = 0

    def connect(self):
        self.asked += 1
        raise RuntimeError("the cursor is closed")

    begin = connect

    async def read(self, *_):
        self.connect()


@pytest.fixture
def positions():
    """Partition 0 of hospital.jobs, at its end."""
    positions = Positions()
    positions.assign([TopicPartition(JOBS, 0)])
    positions.place({TopicPartition(JOBS, 0): 8})
    positions.observe_end(TopicPartition(JOBS, 0), 8)
    return positions


def finishing(database, positions):
    return Finishing(database, FakePublisher(), JOBS, positions, ChangeSignal(), FinishingLimits(SOON)).run()


def due_commands(database, positions):
    publisher, signal = FakePublisher(), ChangeSignal()
    return DueCommands(database, publisher, JOBS, positions, signal, SETTLING_SECONDS, poll_seconds=SOON).run()


def matching(database, positions):
    return Matching(database, JOBS, positions, ChangeSignal(), SOON).run()


def retention(database, positions):
    return Retention(database, positions, JOBS, lambda _: 0, 1, SOON).run()


async def job_ends(database, _):
    ends = JobEnds(database, ChangeSignal(), lambda: at(0), SOON)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ends.end_of("job-1", 1, at(1)))
        tasks.create_task(ends.run())


def jobs_counted(database, _):
    return count_jobs(database, SOON)


@pytest.mark.parametrize("work", [finishing, due_commands, matching, retention, job_ends, jobs_counted])
async def test_a_drivers_own_error_ends_nothing_for_good(positions, work):
    """Nobody would see that it has ended."""
    database = BrokenDatabase()
    running = asyncio.create_task(work(database, positions))
    async with asyncio.timeout(20):
        while database.asked < 5 and not running.done():  # noqa: ASYNC110 - only the loop knows when it asks
            await asyncio.sleep(SOON)
    assert not running.done()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
