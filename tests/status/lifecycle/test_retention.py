"""Old jobs go, and nobody ever sees a half of one."""

import asyncio

import pytest
from aiokafka import TopicPartition
from sqlalchemy import func, select

from services.status.lifecycle.retention import DeletionSteps, Retention, delete_expired
from services.status.model.timestamps import micros
from services.status.projection.positions import Positions
from services.status.tables.definitions import corrections, jobs, rows
from shared.contract.events import JobOutcome
from tests.support.status.job_histories import JobHistory, apply_events, at, contents
from tests.support.status.status_api import api_client


def everywhere(_job_id):
    return True


def finished(job_id="job-1", total=3, seconds=4):
    """A job of one batch that ended after so many seconds."""
    job = JobHistory(total=total, job_id=job_id)
    results = [job.created(2), *(job.failed(row) for row in range(3, total + 2))]
    return job, [job.accepted(), *results, job.finished(JobOutcome.SOME_FAILED, seconds=seconds)]


async def jobs_shown(api):
    """How many jobs the list has; the answer itself where it is not a list."""
    answer = await api.get("/jobs")
    assert answer.status_code == 200, answer.text
    return answer.json()["total_jobs"]


async def stored(engine, table):
    async with engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def test_a_finished_job_goes_with_everything_that_is_known_of_it(engine):
    """More rows than one step takes; nothing is left in any table."""
    job, history = finished(total=10)
    await apply_events(engine, *history, job.activated(), job.resolved(4, None))
    assert await delete_expired(engine, micros(at(5)), everywhere, DeletionSteps(rows=3)) == 1
    assert {name: found for name, found in (await contents(engine)).items() if found} == {}


async def test_what_is_young_or_unfinished_stays_as_it_is(engine):
    """A job still running after years is not old: only the time since its end counts."""
    _, young = finished("young", seconds=6)
    running = JobHistory(total=2, job_id="running")
    await apply_events(engine, *young, running.accepted(), running.created(2))
    before = await contents(engine)
    assert await delete_expired(engine, micros(at(5)), everywhere) == 0
    assert await contents(engine) == before


async def test_a_finish_that_was_not_read_back_keeps_its_job(engine):
    """Nobody would send it any more."""
    job = JobHistory(total=1)
    await apply_events(engine, job.accepted(), job.created(2))
    assert await delete_expired(engine, micros(at(100)), everywhere) == 0


async def test_another_replicas_jobs_are_left_to_it(engine):
    """It knows whether it has read their partition to its end."""
    for job_id in ("ours", "theirs"):
        await apply_events(engine, *finished(job_id)[1])
    assert await delete_expired(engine, micros(at(5)), lambda job_id: job_id == "ours") == 1
    assert await stored(engine, jobs) == 1


async def test_a_job_on_its_way_out_is_not_seen_by_anybody(engine):
    """The first thing to go is its being there: then rows may go one by one."""
    await apply_events(engine, *finished(total=5)[1])

    async def interrupted():
        raise ConnectionError("the power went")

    with pytest.raises(ConnectionError):
        await delete_expired(engine, micros(at(5)), everywhere, DeletionSteps(1, interrupted))
    assert await stored(engine, rows) == 3, "the first step is done"
    async with api_client(engine) as api:
        assert await jobs_shown(api) == 0
    assert await delete_expired(engine, micros(at(5)), everywhere) == 1
    assert await stored(engine, rows) == 0


async def test_events_that_come_late_bring_no_half_of_a_job_back(engine):
    """A retry, an activation, a result: nobody sees them, and they go too."""
    job, history = finished()
    await apply_events(engine, *history)
    await delete_expired(engine, micros(at(5)), everywhere)
    await apply_events(engine, job.created(3, round_=2), job.retried(2), job.activated(request_id="by hand"))
    async with api_client(engine) as api:
        assert await jobs_shown(api) == 0
    assert await delete_expired(engine, micros(at(5)), everywhere) == 1
    assert {name: found for name, found in (await contents(engine)).items() if found} == {}


async def test_a_late_result_between_the_steps_is_for_the_next_time(engine):
    """A job that has a row again is not forgotten with the row left behind."""
    job, history = finished()
    await apply_events(engine, *history)

    async def one_comes():
        await apply_events(engine, job.created(3, round_=2))

    assert await delete_expired(engine, micros(at(5)), everywhere, DeletionSteps(pause=one_comes)) == 0
    assert await delete_expired(engine, micros(at(5)), everywhere) == 1
    assert await stored(engine, rows) == 0


async def test_a_retry_keeps_its_job(engine):
    """It is running again, whenever it ended before."""
    job, history = finished()
    await apply_events(engine, *history, job.retried(2))
    assert await delete_expired(engine, micros(at(5)), everywhere) == 0
    assert await stored(engine, rows) == 3


async def test_a_replica_begins_when_it_has_read_a_partition_to_its_end(sqlite):
    """And goes on for as long as it lives."""
    at_the_end = TopicPartition("hospital.jobs", 0)
    await apply_events(sqlite, *finished()[1])
    positions = Positions()
    positions.assign([at_the_end])
    positions.place({at_the_end: 7})
    retention = Retention(sqlite, positions, "hospital.jobs", lambda _: 0, days=1, poll_seconds=0.01)
    running = asyncio.create_task(retention.run())
    await asyncio.sleep(0.1)
    assert await stored(sqlite, jobs) == 1
    positions.observe_end(at_the_end, 7)
    async with asyncio.timeout(20):
        while await stored(sqlite, jobs):  # noqa: ASYNC110 - a database has to be asked
            await asyncio.sleep(0.01)
    running.cancel()


async def test_a_correction_stays_as_long_as_the_job_that_it_corrects(engine):
    """Else its rows would run again in that one. That one may stay for longer when it was retried."""
    old, events = finished("old", total=3, seconds=50)
    new = JobHistory(total=1, job_id="new")
    await apply_events(engine, *events, new.corrects(old, [3], 8), new.created(2, seconds=9))
    await apply_events(engine, new.finished(JobOutcome.ALL_CREATED, seconds=10), new.activated(seconds=11))
    assert await delete_expired(engine, micros(at(20)), everywhere) == 0
    assert await delete_expired(engine, micros(at(60)), everywhere) == 1
    assert await delete_expired(engine, micros(at(60)), everywhere) == 1
    assert {name: found for name, found in (await contents(engine)).items() if found} == {}


async def test_a_job_stays_as_long_as_anything_of_its_chain_runs(engine):
    """Its hospitals become active when the last row of the chain is created: until then nobody else knows of them."""
    old, events = finished("old", total=3)
    new, last = JobHistory(total=1, job_id="new"), JobHistory(total=1, job_id="last")
    await apply_events(engine, *events, new.corrects(old, [3, 4]), new.failed(2, seconds=12))
    assert await delete_expired(engine, micros(at(9)), everywhere) == 0, "new runs"
    await apply_events(engine, new.finished(JobOutcome.NONE_CREATED, seconds=13), last.corrects(new, [2], 14))
    assert await delete_expired(engine, micros(at(13)), everywhere) == 0, "new has ended, but its correction runs"
    await apply_events(engine, last.created(2, seconds=15), last.finished(JobOutcome.ALL_CREATED, seconds=16))
    await apply_events(engine, last.activated(seconds=17))
    assert await delete_expired(engine, micros(at(14)), everywhere) == 0, "the activations are not read back"
    requests = [job.activation_requested(seconds=18) for job in (old, new)]
    await apply_events(engine, *requests)
    assert await delete_expired(engine, micros(at(14)), everywhere) == 1
    assert await delete_expired(engine, micros(at(60)), everywhere) == 1
    assert await delete_expired(engine, micros(at(60)), everywhere) == 1
    assert {name: found for name, found in (await contents(engine)).items() if found} == {}


async def test_a_job_of_another_tenant_keeps_none(engine):
    """Nor does one that says that it corrects itself."""
    old, events = finished("old", total=3)
    foreign, itself = JobHistory(total=1, job_id="new", tenant="south"), JobHistory(total=1, job_id="self")
    await apply_events(engine, *events, foreign.corrects(old, [3]), itself.corrects(itself, [2], 0))
    await apply_events(engine, itself.failed(2), itself.finished(JobOutcome.NONE_CREATED))
    assert await delete_expired(engine, micros(at(9)), everywhere) == 2


async def links(engine):
    async with engine.connect() as connection:
        return set((await connection.execute(select(corrections.c.job_id))).scalars())


async def test_a_link_to_no_job_goes_after_its_own(engine):
    """By who has read the partition to its end in which the other job would be; another tenant's job is none."""
    _, events = finished("theirs", total=1, seconds=100)
    lost, foreign = JobHistory(total=1, job_id="lost", tenant="south"), JobHistory(total=1, job_id="foreign")
    unknown = [lost.corrects(JobHistory(job_id="nowhere"), None, 0), lost.failed(2)]
    foreigner = [foreign.accepted(corrects="theirs", tenant="south"), foreign.failed(2, tenant="south")]
    ends = [job.finished(JobOutcome.NONE_CREATED) for job in (lost, foreign)]
    await apply_events(engine, *events, *unknown, *foreigner, *ends)
    assert await delete_expired(engine, micros(at(3)), everywhere) == 0
    assert await links(engine) == {"lost", "foreign"}, "their own jobs are there"
    assert await delete_expired(engine, micros(at(5)), lambda job_id: job_id != "nowhere") == 2
    assert await links(engine) == {"lost"}
    assert await delete_expired(engine, micros(at(5)), everywhere) == 0
    assert await links(engine) == set()
