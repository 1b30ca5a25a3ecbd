"""What passes the check can be kept by every database; what cannot be kept is refused before it comes there."""

import json
import os
from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.status.queries.job_summaries import job_answer
from services.status.tables.column_limits import LONGEST_FILE_NAME, LONGEST_ID, check_column_limits
from shared.contract.cloud_events import UndecodableEvent, decode, encode
from shared.contract.events import JobOutcome, LaneReport
from tests.support.status.job_histories import JobHistory, apply_events, at, report

#: It cannot be compressed below the 2,704 bytes that PostgreSQL indexes at most.
LONG = os.urandom(4_000).hex()
HISTORY = JobHistory(total=1)
FIRST_DAY = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
BEFORE_1970 = datetime(1969, 12, 31, tzinfo=UTC)
LAST_DAY = datetime(9999, 12, 31, tzinfo=UTC)


def changed(event, **fields):
    """The event as JSON would bring it, so that its own checks are made."""
    made = encode(event, "test")
    value = json.dumps(json.loads(made.value) | fields, default=str).encode()
    return decode(made.headers, value), value


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        *((event, {"job_id": LONG}) for event in (HISTORY.accepted(), HISTORY.created(2), HISTORY.retried(2))),
        *((event, {"tenant": LONG}) for event in (HISTORY.accepted(), HISTORY.failed(2), HISTORY.cancelled())),
        (HISTORY.created(2), {"batch_id": LONG}),
        (HISTORY.accepted(), {"batch_ids": ["b", LONG]}),
        (HISTORY.activated(), {"request_id": LONG}),
        (HISTORY.refused(), {"batch_id": LONG}),
        (HISTORY.resolved(2, 7), {"resolved_by": LONG}),
        (HISTORY.accepted(), {"file_name": "n" * (LONGEST_FILE_NAME + 1)}),
        (HISTORY.accepted(), {"job_id": "é" * (LONGEST_ID // 2 + 1)}),
        (report(), {"instance": LONG}),
        (report(), {"instance": "a\0b"}),
        (HISTORY.accepted(), {"file_name": "a\0b"}),
        *((HISTORY.created(2), {"started_at": moment}) for moment in (FIRST_DAY, LAST_DAY, BEFORE_1970)),
        *((event, {"occurred_at": LAST_DAY}) for event in (HISTORY.accepted(), HISTORY.created(2), report())),
        (HISTORY.cancelled(), {"settles_at": FIRST_DAY}),
        (report(), {"retry_after_until": LAST_DAY}),
        (HISTORY.finished(JobOutcome.SOME_FAILED), {"round": 2**31 - 1}),
        (HISTORY.retried(2), {"round": 10**7}),
        (HISTORY.created(2), {"row": 2**31}),
        (HISTORY.accepted(), {"total_hospitals": 2**31}),
        (report(), {"rate_limit": float("nan")}),
        (report(), {"rows_per_second": float("inf")}),
        (report(), {"lanes": [{"partition": 0, "lag_rows": 10**400}]}),
        (report(), {"lanes": [{"partition": 0, "lag_seconds": float("-inf")}]}),
    ],
)  # fmt: skip
def test_what_no_database_can_keep_or_nobody_can_compute_with_is_refused(event, fields):
    """Each of these stopped a projection for good, or every answer that was computed from it."""
    with pytest.raises(UndecodableEvent) as raised:
        check_column_limits(*changed(event, **fields))
    assert LONG not in str(raised.value)


LONGEST = os.urandom(LONGEST_ID // 2).hex()


async def test_the_longest_and_largest_that_passes_is_kept_and_answered(engine):
    """On both databases; and the round after the last one fits too."""
    job = JobHistory(total=1, job_id=LONGEST, tenant=LONGEST[::-1])
    job.batch_ids = (f"b{LONGEST[1:]}",)
    latest = datetime(8999, 12, 31, 23, tzinfo=UTC)
    events = [
        job.accepted().model_copy(update={"file_name": "n" * LONGEST_FILE_NAME}),
        job.created(2).model_copy(update={"started_at": latest, "hospital_id": 10**4_000}),
        job.finished(JobOutcome.SOME_FAILED).model_copy(update={"round": 1_000_000}),
        job.activated(request_id=LONGEST),
        job.cancelled().model_copy(update={"settles_at": latest}),
        report(LONGEST, retry_after_until=latest, lanes=(LaneReport(partition=0, lag_rows=2**53),)),
    ]
    for event in events:
        check_column_limits(event, event.model_dump_json().encode())
    await apply_events(engine, *events)
    async with engine.connect() as connection:
        answer = await connection.run_sync(job_answer, None, LONGEST, at(5))
    assert (answer.job_id, answer.created_hospitals) == (LONGEST, 1)


@pytest.mark.parametrize("field", ["name", "job_id"])
def test_half_a_character_is_no_text(field):
    """JSON can write one of a pair of surrogates; no database keeps it."""
    made = encode(HISTORY.created(2), "test")
    value = json.dumps(json.loads(made.value) | {field: "\ud800"}).encode()
    with pytest.raises(UndecodableEvent):
        check_column_limits(decode(made.headers, value), value)
