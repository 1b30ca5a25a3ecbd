"""What every database can keep: an event that holds more would fail the transaction of all others, for ever.

identifiers   512 bytes: PostgreSQL indexes at most 2,704 bytes, and some indexes hold two identifiers
numbers       2³¹-1; rounds a million, since the next round must fit as well
moments       from 1970 to 8999, so that what is computed from them is a date too
texts         no NUL character; file names 4,096 bytes
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from shared.contract.cloud_events import UndecodableEvent
from shared.contract.events import (
    BatchActivationFailed,
    BatchActivationRequested,
    BatchEvent,
    Event,
    JobAccepted,
    JobCancelRequested,
    JobEvent,
    JobFinished,
    JobRetryRequested,
    ProcessorReported,
    RowCreated,
    RowEvent,
    RowFailed,
    RowResolved,
    RowResult,
    RowUnprocessed,
)

LARGEST: Final = 2**31 - 1
LARGEST_ROUND: Final = 1_000_000
LONGEST_ID: Final = 512
LONGEST_FILE_NAME: Final = 4_096
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
#: Of the numbers in a report, which are kept as JSON and computed with.
_LARGEST_REPORTED: Final = 2**53


def check_column_limits(event: Event, value: bytes) -> None:
    """Raises UndecodableEvent for an event that no database can keep."""
    if b"\\u0000" in value and any("\0" in text for text in _texts(event.model_dump(mode="json"))):
        raise UndecodableEvent("a text holds a NUL character")
    if not (isinstance(event, RowCreated | RowUnprocessed) and _is_ordinary(event)):
        _check_each_limit(event)


def _is_ordinary(event: RowResult) -> bool:
    """True for nearly all results, at a fifth of the cost of every check by itself."""
    return (
        max(event.row, event.attempts) <= LARGEST
        and event.round <= LARGEST_ROUND
        and max(len(event.job_id), len(event.batch_id), len(event.tenant)) <= LONGEST_ID // 4  # 4 bytes a character
        and EARLIEST <= event.occurred_at < LATEST
        and EARLIEST <= event.started_at < LATEST
    )


def _check_each_limit(event: Event) -> None:
    if max(_numbers(event), default=0) > LARGEST:
        raise UndecodableEvent(f"a number is larger than {LARGEST}")
    if _round(event) > LARGEST_ROUND:
        raise UndecodableEvent(f"the round is larger than {LARGEST_ROUND}")
    for text in _identifiers(event):
        if len(text) > LONGEST_ID or len(text.encode()) > LONGEST_ID:
            raise UndecodableEvent(f"an identifier is longer than {LONGEST_ID} bytes")
    for moment in _moments(event):
        if moment is not None and not EARLIEST <= moment < LATEST:
            raise UndecodableEvent(f"a moment is not between {EARLIEST.year} and {LATEST.year}")
    if isinstance(event, JobAccepted) and len(event.file_name.encode()) > LONGEST_FILE_NAME:
        raise UndecodableEvent(f"the file's name is longer than {LONGEST_FILE_NAME} bytes")
    if isinstance(event, ProcessorReported) and not all(map(_can_be_reported, _values(event.model_dump()))):
        raise UndecodableEvent("a number in the report cannot be computed with")


def _numbers(event: Event) -> tuple[int, ...]:
    match event:
        case RowCreated() | RowUnprocessed():  # first, since most are
            return event.row, event.attempts
        case RowFailed():
            return event.row, event.attempts, event.http_status or 0
        case JobAccepted():
            return event.total_hospitals, event.max_failures or 0
        case RowResolved():
            return (event.row,)
        case BatchActivationFailed():
            return (event.http_status or 0,)
        case _:
            return ()


def _round(event: Event) -> int:
    match event:
        case RowEvent() | RowResolved() | JobCancelRequested() | JobRetryRequested() | JobFinished():
            return event.round
        case _:
            return 0


def _identifiers(event: Event) -> tuple[str, ...]:
    match event:
        case RowEvent():
            return event.job_id, event.batch_id, event.tenant
        case JobAccepted():
            return event.job_id, event.tenant, *event.batch_ids, event.corrects or ""
        case JobFinished():
            return event.job_id, event.tenant, *event.batch_ids
        case BatchActivationRequested():
            return event.job_id, event.tenant, event.batch_id, event.request_id, event.requested_by
        case BatchEvent():
            return event.job_id, event.tenant, event.batch_id, event.request_id
        case JobCancelRequested() | JobRetryRequested():
            return event.job_id, event.tenant, event.requested_by
        case RowResolved():
            return event.job_id, event.tenant, event.resolved_by
        case JobEvent():
            return event.job_id, event.tenant
        case ProcessorReported():
            return (event.instance,)
        case _:
            return ()


def _moments(event: Event) -> tuple[datetime | None, ...]:
    match event:
        case RowResult():
            return event.occurred_at, event.started_at
        case JobCancelRequested():
            return event.occurred_at, event.settles_at
        case ProcessorReported():
            until = (each.until for each in event.jobs_in_doubt)
            return event.occurred_at, event.retry_after_until, event.next_try_at, *until
        case _:
            return (event.occurred_at,)


def _can_be_reported(value: object) -> bool:
    return not isinstance(value, int | float) or abs(value) <= _LARGEST_REPORTED  # also false for NaN


def _texts(value: object) -> Iterator[str]:
    return (each for each in _values(value) if isinstance(each, str))


def _values(value: object) -> Iterator[object]:
    match value:
        case dict():
            for each in value.items():
                yield from _values(each)
        case list() | tuple():
            for each in value:
                yield from _values(each)
        case _:
            yield value
