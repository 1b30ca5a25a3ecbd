"""The rows of a new round, read from the tables."""

import pytest
from sqlalchemy import select

from services.status.commands.retry_rows import ChunkLimits, Retry, next_chunk, retry_of
from services.status.commands.retry_transactions import RetryProgress, read_progress
from services.status.model.job_facts import JobFacts, apply_event
from services.status.tables.definitions import jobs
from shared.contract.cloud_events import decode
from shared.contract.events import FieldColumns, RowAccepted, RowErrorCode, RowFailed, RowUnprocessed
from shared.contract.topics import Topics
from tests.support.status.job_histories import JobHistory, apply_events

TOPICS = Topics()
HISTORY = JobHistory(total=6)


#: Two columns may be called alike only in what other programs write. Each cell belongs to its place all the same.
NAMES = ("Beds", " NAME", "Beds", "Address ", "Phone", "Note")


def retry(express=True, columns=("name", "address", "Beds")):
    return Retry(HISTORY.retried(2), express, columns, "00-" + "a" * 32 + "-" + "b" * 16 + "-01")


def events(chunk):
    return [decode(record.headers, record.value) for _, record in chunk.records]


async def test_what_failed_or_was_not_sent_runs_again_as_it_was_uploaded(engine):
    """Same batch, same cells; address and phone from the cells, whatever the header's case; one id per round."""
    await apply_events(
        engine, HISTORY.accepted(), HISTORY.created(2), HISTORY.failed(3), HISTORY.unprocessed(4), HISTORY.created(5)
    )
    chunk = await next_chunk(engine, TOPICS, retry(), 0)
    first, second = events(chunk)
    assert isinstance(first, RowAccepted)
    assert (first.name, first.address, first.phone) == ("Hospital 3", "1 Long Street", None)
    assert (first.cells, first.columns) == (("Hospital 3", "1 Long Street", "12"), None)
    assert (first.tenant, first.job_id, first.batch_id) == ("north", "job-1", HISTORY.batch_ids[0])
    assert (first.event_id, first.key, second.event_id) == ("job-1:3:2", "job-1:3", "job-1:4:2")
    assert (chunk.row, chunk.last) == (5, True)
    assert {topic for topic, _ in chunk.records} == {TOPICS.rows_express}
    assert all(("traceparent", retry().traceparent.encode()) in record.headers for _, record in chunk.records)
    assert await next_chunk(engine, TOPICS, retry(), 0) == chunk, "the same request gives the same records"


@pytest.mark.parametrize(
    ("cells", "phone"),
    [
        (("12", " St. Mary ", "", "1 Long Street ", " 555-1 ", "a, b"), "555-1"),
        (("", "St. Mary", "14", "1 Long Street"), None),
        (("", "St. Mary", "", "1 Long Street", "", "a"), None),
    ],
)
async def test_each_cell_belongs_to_the_column_of_its_place(sqlite, cells, phone):
    """Whatever the order of the columns, and which cells are empty or left out; results may come before the job."""
    failed = HISTORY.failed(3).model_copy(update={"cells": cells})
    await apply_events(sqlite, failed)
    await apply_events(sqlite, HISTORY.accepted().model_copy(update={"columns": NAMES}))
    [event] = events(await next_chunk(sqlite, TOPICS, retry(columns=NAMES), 0))
    assert isinstance(event, RowAccepted)
    assert (event.name, event.address, event.phone) == ("St. Mary", "1 Long Street", phone)
    assert event.cells == cells


async def test_a_row_of_columns_with_other_names_runs_again_as_it_was_sent(engine):
    """The job says which columns they were: no name would tell, and its address was joined."""
    fields = FieldColumns(name=(1,), address=(2, 0), phone=(3,))
    cells = ("Springfield", " Mercy ", "1 Main Street", "\u0660\u0661\u0662\u0663")
    columns = ("City", "Facility", "Street", "Ruf")
    accepted = HISTORY.accepted().model_copy(update={"columns": columns, "fields": fields})
    await apply_events(engine, accepted, HISTORY.failed(3).model_copy(update={"cells": cells}))
    async with engine.connect() as connection:
        (stored,) = (await connection.execute(select(jobs.c.fields))).one()
    assert FieldColumns.model_validate_json(stored) == fields
    again = Retry(HISTORY.retried(2), True, columns, None, fields)
    [event] = events(await next_chunk(engine, TOPICS, again, 0))
    assert isinstance(event, RowAccepted)
    assert (event.name, event.address, event.phone) == ("Mercy", "1 Main Street, Springfield", "0123")
    assert event.cells == cells


@pytest.mark.parametrize("fields", [None, FieldColumns(name=(1,), address=(2, 0))])
def test_a_round_knows_what_the_job_was_accepted_with(fields):
    """Its columns, and which of them made the hospitals; an older job says nothing of those."""
    accepted = HISTORY.accepted().model_copy(update={"fields": fields})
    found = retry_of(HISTORY.retried(2), apply_event(JobFacts("job-1"), accepted, 0), "trace")
    assert (tuple(found.columns), found.fields, found.traceparent) == (accepted.columns, fields, "trace")


async def test_a_row_of_version_0_1_0_runs_again_as_it_came(engine):
    """With its cells by name, in events and tables: a processor of that version may still be there to read it."""
    columns = {" NAME": " St. Mary ", "Address ": "1 Long Street ", "Phone": " 555-1 ", "Beds": "12"}
    failed = HISTORY.failed(3).model_copy(update={"columns": columns, "cells": (), "name": "St. Mary"})
    await apply_events(engine, HISTORY.accepted(), failed)
    [event] = events(await next_chunk(engine, TOPICS, retry(columns=tuple(columns)), 0))
    assert isinstance(event, RowAccepted)
    assert (event.name, event.address, event.phone) == ("St. Mary", "1 Long Street", "555-1")
    assert (event.cells, event.columns) == ((), columns)


async def test_a_row_that_a_person_found_absent_is_sent_again_without_a_look_up(engine):
    """Somebody has looked: a directory that lists by pages would make it unknown again, and again."""
    rows = range(2, 6)
    unknown = [HISTORY.failed(row, code=RowErrorCode.OUTCOME_UNKNOWN) for row in rows]
    decided = HISTORY.resolved(2, None), HISTORY.resolved(3, None), HISTORY.resolved(4, 77)
    await apply_events(engine, HISTORY.accepted(), *unknown, *decided)
    again = events(await next_chunk(engine, TOPICS, retry(), 0))
    assert {event.row: event.may_exist for event in again} == {2: False, 3: False, 5: True}
    await apply_events(engine, HISTORY.failed(2, round_=2, code=RowErrorCode.OUTCOME_UNKNOWN, seconds=8))
    third = Retry(HISTORY.retried(3), True, HISTORY.accepted().columns)
    [event] = [each for each in events(await next_chunk(engine, TOPICS, third, 0)) if each.row == 2]
    assert event.may_exist, "what somebody saw after round 1 says nothing of round 2"


async def test_a_decision_that_comes_before_its_row_counts_as_well(sqlite):
    """Topics are read in any order."""
    await apply_events(sqlite, HISTORY.accepted(), HISTORY.resolved(2, None))
    await apply_events(sqlite, HISTORY.failed(2, code=RowErrorCode.OUTCOME_UNKNOWN))
    [event] = events(await next_chunk(sqlite, TOPICS, retry(), 0))
    assert event.may_exist is False


async def test_only_rows_that_may_exist_are_looked_up_again(engine):
    """Not those that the directory refused or that were not sent, in the round before."""
    exhausted = HISTORY.failed(4, code=RowErrorCode.ATTEMPTS_EXHAUSTED)
    unknown = HISTORY.failed(5, code=RowErrorCode.OUTCOME_UNKNOWN)
    await apply_events(
        engine,
        HISTORY.accepted(),
        HISTORY.failed(2, code=RowErrorCode.REJECTED),
        HISTORY.unprocessed(3),
        exhausted,
        unknown,
    )
    again = events(await next_chunk(engine, TOPICS, retry(), 0))
    assert {event.row: event.may_exist for event in again} == {2: False, 3: False, 4: True, 5: True}
    skipped = Retry(HISTORY.retried(3), express=True, columns=HISTORY.accepted().columns)
    assert all(event.may_exist for event in events(await next_chunk(engine, TOPICS, skipped, 0)))


async def test_rows_of_a_large_job_go_the_way_they_came(sqlite):
    """To the bulk topic."""
    await apply_events(sqlite, HISTORY.accepted(), HISTORY.failed(2))
    [(topic, _)] = (await next_chunk(sqlite, TOPICS, retry(express=False), 0)).records
    assert topic == TOPICS.rows_bulk


@pytest.mark.parametrize("columns", [None, {}])
async def test_a_row_that_nobody_can_read_fails_in_the_new_round_too(sqlite, columns):
    """Every row has one result a round; without it the round would never end."""
    lost = HISTORY.failed(2, code=RowErrorCode.UNDECODABLE).model_copy(
        update={"cells": (), "columns": columns, "name": "", "batch_id": ""}
    )
    await apply_events(sqlite, HISTORY.accepted(), lost, HISTORY.failed(3))
    chunk = await next_chunk(sqlite, TOPICS, retry(), 0)
    failed, accepted = events(chunk)
    assert isinstance(failed, RowFailed)
    assert (failed.row, failed.round, failed.code, failed.message) == (2, 2, RowErrorCode.UNDECODABLE, lost.message)
    assert [topic for topic, _ in chunk.records] == [TOPICS.results, TOPICS.rows_express]
    assert isinstance(accepted, RowAccepted)


@pytest.mark.parametrize("limits", [ChunkLimits(rows=2, page=2), ChunkLimits(bytes=300, page=2)])
async def test_a_large_retry_comes_in_chunks_each_after_the_last_row_of_the_one_before(engine, limits):
    """So that no transaction is large, and whoever goes on knows where."""
    await apply_events(
        engine, HISTORY.accepted(), *(HISTORY.failed(row) for row in (2, 3, 4, 6, 7)), HISTORY.created(5)
    )
    found, after, last = [], 0, False
    while not last:
        chunk = await next_chunk(engine, TOPICS, retry(), after, limits)
        assert len(chunk.records) <= 3, "one page more than the limit at most"
        found += [event.row for event in events(chunk)]
        after, last = chunk.row, chunk.last
    assert found == [2, 3, 4, 6, 7]


async def test_rows_that_have_a_result_of_the_new_round_are_not_written_again(sqlite):
    """The processors are quick: the first rows are done while the last are still to be written."""
    await apply_events(sqlite, HISTORY.accepted(), HISTORY.failed(2), HISTORY.failed(3), HISTORY.failed(2, round_=2))
    assert [event.row for event in events(await next_chunk(sqlite, TOPICS, retry(), 0))] == [3]


@pytest.mark.parametrize("progress", [RetryProgress(0), RetryProgress(12), RetryProgress(12, 1_000_001)])
def test_progress_is_read_as_it_was_written(progress):
    """From the text beside the offset."""
    assert read_progress(progress.offset, progress.metadata()) == progress


def test_progress_that_this_version_does_not_know_is_refused():
    """Guessing would write rows twice or never."""
    with pytest.raises(ValueError, match="v2:x"):
        read_progress(12, "v2:x")


async def test_rows_that_stand_in_a_correction_keep_their_result_and_are_not_sent(engine):
    """Each row has one result a round; a row that is sent here and there would become two hospitals."""
    new = JobHistory(total=2, job_id="new")
    rows = HISTORY.failed(3, http_status=422, attempts=3), HISTORY.unprocessed(4), HISTORY.failed(5)
    await apply_events(engine, HISTORY.accepted(), HISTORY.created(2), *rows, new.corrects(HISTORY, [2, 3, 4]))
    chunk = await next_chunk(engine, TOPICS, retry(), 0)
    failed, unsent, again = events(chunk)
    assert [topic for topic, _ in chunk.records] == [TOPICS.results, TOPICS.results, TOPICS.rows_express]
    assert isinstance(failed, RowFailed)
    assert failed.model_dump(exclude={"occurred_at", "round", "carried_over"}) == rows[0].model_dump(
        exclude={"occurred_at", "round", "carried_over"}
    )
    assert isinstance(unsent, RowUnprocessed)
    assert (failed.round, failed.carried_over, unsent.round, unsent.carried_over) == (2, True, 2, True)
    assert (again.row, again.round) == (5, 2)


@pytest.mark.parametrize(
    ("codes", "again"),
    [((), [2, 3, 4, 5]), (("rejected",), [2]), (("unprocessed", "outcome_unknown"), [4, 5]), (("other",), [])],
)
async def test_only_rows_of_the_chosen_codes_run_again(engine, codes, again):
    """The others keep their result in the new round."""
    failed = [
        HISTORY.failed(row, code=code)
        for row, code in ((2, "rejected"), (3, "attempts_exhausted"), (4, "outcome_unknown"))
    ]
    await apply_events(engine, HISTORY.accepted(), *failed, HISTORY.unprocessed(5))
    request = Retry(HISTORY.retried(2).model_copy(update={"codes": codes}), True, ("name", "address", "Beds"))
    found = events(await next_chunk(engine, TOPICS, request, 0))
    assert [event.row for event in found] == [2, 3, 4, 5]
    assert [event.row for event in found if isinstance(event, RowAccepted)] == again


async def test_a_row_that_somebody_did_not_find_is_not_unknown_again_when_it_is_carried_over(engine):
    """The decision was about the round before. Should it run later, it is looked up first."""
    unknown = HISTORY.failed(2, code=RowErrorCode.OUTCOME_UNKNOWN)
    await apply_events(engine, HISTORY.accepted(), unknown, HISTORY.resolved(2, None), HISTORY.failed(3))
    request = Retry(HISTORY.retried(2).model_copy(update={"codes": ("rejected",)}), True, ("name", "address", "Beds"))
    carried, _ = events(await next_chunk(engine, TOPICS, request, 0))
    assert (carried.code, carried.message) == ("attempts_exhausted", "ann looked: it is not in the directory.")
    await apply_events(engine, HISTORY.retried(2), carried, HISTORY.failed(3, round_=2))
    third = Retry(HISTORY.retried(3), True, HISTORY.accepted().columns)
    again, _ = events(await next_chunk(engine, TOPICS, third, 0))
    assert again.may_exist
