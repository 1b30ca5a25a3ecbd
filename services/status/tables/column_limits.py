"""What every database can keep: PostgreSQL knows no NUL character in a text and no whole number above 2³¹-1."""

from collections.abc import Iterator
from typing import Final

from shared.contract.cloud_events import UndecodableEvent
from shared.contract.events import (
    BatchActivationFailed,
    Event,
    JobAccepted,
    JobCancelRequested,
    JobFinished,
    JobRetryRequested,
    RowCreated,
    RowFailed,
    RowResolved,
    RowUnprocessed,
)

LARGEST: Final = 2**31 - 1


def check_column_limits(event: Event, value: bytes) -> None:
    """Raises UndecodableEvent for an event that would fail the transaction of all others, for ever."""
    if max(_numbers(event), default=0) > LARGEST:
        raise UndecodableEvent(f"a number is larger than {LARGEST}")
    if b"\\u0000" in value and any("\0" in text for text in _texts(event.model_dump(mode="json"))):
        raise UndecodableEvent("a text holds a NUL character")


def _numbers(event: Event) -> tuple[int, ...]:
    match event:
        case RowCreated() | RowUnprocessed():  # first, since most are
            return event.row, event.round, event.attempts
        case RowFailed():
            return event.row, event.round, event.attempts, event.http_status or 0
        case JobAccepted():
            return (event.total_hospitals,)
        case RowResolved():
            return event.row, event.round
        case JobCancelRequested() | JobRetryRequested() | JobFinished():
            return (event.round,)
        case BatchActivationFailed():
            return (event.http_status or 0,)
        case _:
            return ()


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for each in value.items():
                yield from _texts(each)
        case list() | tuple():
            for each in value:
                yield from _texts(each)
