"""Events become tables: any order, any repetition, any division into batches gives the same ones."""

from itertools import groupby

import pytest
from aiokafka import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.status.projection.transaction import project
from services.status.tables import stored_offsets
from services.status.tables.definitions import jobs, rows, tallies
from services.status.tables.stored_offsets import OffsetsMoved, Step
from shared.contract.events import (
    JobOutcome,
    RowCreated,
    RowErrorCode,
    RowFailed,
    RowResolved,
    RowResult,
    RowUnprocessed,
)
from tests.support.status.job_histories import (
    JobHistory,
    apply_events,
    contents,
    emptied,
    event_batch,
    histories,
    in_topic_order,
    report,
)

RESULTS = TopicPartition("hospital.results", 0)


async def the(engine, *columns):
    """Those columns of the only job."""
    async with engine.connect() as connection:
        return tuple((await connection.execute(select(*(jobs.c[column] for column in columns)))).one())


async def counts(engine):
    """created, failed, unprocessed of the only job."""
    return await the(engine, "created_hospitals", "failed_hospitals", "unprocessed_hospitals")


@pytest.mark.no_cover  # the other tests show what is covered, with less
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories(), data=st.data())
async def test_any_order_and_any_repetition_of_one_history_gives_the_same_tables(engine, history, data):
    """The topics are read in parallel, and a crash makes events come again; one partition keeps its order."""
    await emptied(engine)
    await apply_events(engine, *history)
    expected = await contents(engine)

    await emptied(engine)
    shuffled = in_topic_order(
        data.draw(st.permutations(history + data.draw(st.lists(st.sampled_from(history), max_size=6))))
    )
    cuts = data.draw(st.lists(st.integers(0, 3), min_size=len(shuffled), max_size=len(shuffled)))
    numbers = [sum(cuts[: index + 1]) for index in range(len(shuffled))]
    for _, group in groupby(zip(numbers, shuffled, strict=True), key=lambda pair: pair[0]):
        await apply_events(engine, *(event for _, event in group))

    assert await contents(engine) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories())
async def test_counts_are_what_counting_the_rows_by_hand_gives(sqlite, history):
    """The higher round wins; what failed in an earlier round has no result yet."""
    await emptied(sqlite)
    await apply_events(sqlite, *history)
    last = {event.row: event for event in history if isinstance(event, RowResult)}
    found = {
        event.row: event.hospital_id is not None and event.round == last[event.row].round
        for event in history
        if isinstance(event, RowResolved)
    }
    round_ = max(event.round for event in history if hasattr(event, "round"))
    created = [row for row, event in last.items() if isinstance(event, RowCreated) or found.get(row)]
    now = [event for row, event in last.items() if event.round == round_ and row not in created]
    failed = [event for event in now if isinstance(event, RowFailed)]
    unprocessed = [event for event in now if isinstance(event, RowUnprocessed)]
    assert await counts(sqlite) == (len(created), len(failed), len(unprocessed))


async def test_results_that_come_before_their_job_are_kept(engine):
    """The job is not shown before its JobAccepted; then the counts are there at once."""
    job = JobHistory(total=2)
    await apply_events(engine, job.created(2))
    assert await the(engine, "created_at", "due_round") == (None, None)
    await apply_events(engine, job.accepted())
    assert await counts(engine) == (1, 0, 0)


async def test_the_higher_round_takes_a_row_out_of_the_counts_and_puts_it_back(engine):
    """A row that failed and was created in a retry counts once."""
    job = JobHistory(total=2)
    await apply_events(engine, job.accepted(), job.created(2), job.failed(3))
    await apply_events(engine, job.finished(JobOutcome.SOME_FAILED), job.retried(2))
    assert await counts(engine) == (1, 0, 0)
    await apply_events(engine, job.created(3, round_=2))
    assert await counts(engine) == (2, 0, 0)


async def test_a_late_result_of_an_earlier_round_changes_nothing(engine):
    """Results of one row may be read in any order after a rebalance."""
    job = JobHistory(total=1)
    await apply_events(engine, job.accepted(), job.created(2, round_=2))
    await apply_events(engine, job.failed(2, round_=1))
    assert await counts(engine) == (1, 0, 0)


@pytest.mark.parametrize("first", ["the decision", "the result"])
async def test_a_decision_settles_a_row_whenever_it_comes(engine, first):
    """They come by different topics."""
    job = JobHistory(total=1)
    events = [job.resolved(2, hospital_id=77), job.failed(2, code=RowErrorCode.OUTCOME_UNKNOWN)]
    for event in events if first == "the decision" else reversed(events):
        await apply_events(engine, event)
    await apply_events(engine, job.accepted())
    assert await counts(engine) == (1, 0, 0)
    async with engine.connect() as connection:
        assert (await connection.execute(select(rows.c.status, rows.c.hospital_id))).one() == ("created", "77")


async def test_a_decision_cannot_settle_a_row_that_failed_for_certain(engine):
    """Only an unknown outcome is open to a person's word."""
    job = JobHistory(total=1)
    await apply_events(engine, job.accepted(), job.failed(2), job.resolved(2, hospital_id=77))
    assert await counts(engine) == (0, 1, 0)


async def test_rows_and_offsets_are_written_together_or_not_at_all(engine):
    """A replica that lost its partition in a rebalance finds the offset moved: none of its rows stay."""
    job = JobHistory()
    async with engine.begin() as connection:
        await stored_offsets.begin(connection, {RESULTS: 4})
    await project(engine, [Step(*RESULTS, 4, 5)], event_batch(job.created(2)))
    with pytest.raises(OffsetsMoved):
        await project(engine, [Step(*RESULTS, 4, 6)], event_batch(job.created(3)))
    async with engine.connect() as connection:
        assert list((await connection.execute(select(rows.c.row))).scalars()) == [2]
        assert await stored_offsets.stored(connection, [RESULTS]) == {RESULTS: 5}


async def test_a_partition_begins_where_the_first_replica_said(engine):
    """A second one that asks at the same time does not set it back."""
    for offset in (7, 3):
        async with engine.begin() as connection:
            await stored_offsets.begin(connection, {RESULTS: offset})
    async with engine.connect() as connection:
        assert await stored_offsets.stored(connection, [RESULTS]) == {RESULTS: 7}


async def test_counts_that_came_down_to_nothing_leave_no_trace(engine):
    """Else another order of arrival would end in other tables."""
    job = JobHistory(total=1)
    await apply_events(engine, job.failed(2))
    await apply_events(engine, job.created(2, round_=2))
    async with engine.connect() as connection:
        found = [tuple(tally) for tally in await connection.execute(select(tallies))]
    assert found == [("job-1", 2, "created", 1)]


async def test_a_processor_that_was_silent_for_an_hour_is_forgotten(engine):
    """Every start of a processor has a new name: the table must not grow for ever."""
    await apply_events(engine, report("old", 0), report("young", 3000))
    await apply_events(engine, report("new", 3601))
    assert [row[0] for row in (await contents(engine))["status_processors"]] == ["new", "young"]


async def test_of_two_reports_the_one_that_comes_later_counts(engine):
    """In one batch or in two: the clock of its processor may have been put back in between."""
    await apply_events(engine, report("p", 10), report("p", 5, paused=True))
    assert '"paused":true' in (await contents(engine))["status_processors"][0][2]
    await apply_events(engine, report("p", 3))
    assert '"paused":false' in (await contents(engine))["status_processors"][0][2]


@pytest.mark.no_cover  # one like the other
async def test_thousands_of_jobs_fit_into_one_batch(engine):
    """Small jobs in a burst: no statement may outgrow what a database takes."""
    stories = [JobHistory(total=1, job_id=f"job-{number}") for number in range(2_500)]
    await apply_events(engine, *(job.accepted() for job in stories), *(job.created(2) for job in stories))
    async with engine.connect() as connection:
        assert len(list(await connection.execute(select(jobs.c.job_id).where(jobs.c.due_round == 1)))) == 2_500


async def test_a_finish_that_was_written_twice_has_the_time_of_the_first(engine):
    """A crash repeats JobFinished under the same id, later."""
    job = JobHistory(total=1)
    for seconds in (9, 4, 7):
        await apply_events(
            engine, job.accepted(), job.failed(2), job.finished(JobOutcome.NONE_CREATED, seconds=seconds)
        )
    [finished_at, status] = await the(engine, "finished_at", "status")
    assert (finished_at % 60_000_000, status) == (4_000_000, "failed")
