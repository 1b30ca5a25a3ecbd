"""What every database can keep: PostgreSQL knows no NUL character in a text and no whole number above 2³¹-1."""

from collections.abc import Iterator
from typing import Final

from shared.cloud_events import UndecodableEvent
from shared.events import Event

LARGEST: Final = 2**31 - 1
_NUMBERS: Final = ("row", "round", "attempts", "http_status", "total_hospitals")


def check_storable(event: Event, value: bytes) -> None:
    """Raises UndecodableEvent for an event that would fail the transaction of all others, for ever."""
    for name in _NUMBERS:
        if (getattr(event, name, None) or 0) > LARGEST:
            raise UndecodableEvent(f"{name} is larger than {LARGEST}")
    if b"\\u0000" in value and any("\0" in text for text in _texts(event.model_dump(mode="json"))):
        raise UndecodableEvent("a text holds a NUL character")


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
