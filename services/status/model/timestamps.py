"""Moments as the tables keep them: whole microseconds since 1970 in UTC, which every database sorts the same way."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Micros = int
#: Returns the current moment, with its time zone.
Clock = Callable[[], datetime]


def micros(moment: datetime) -> Micros:
    """The moment as the tables keep it."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: Micros) -> datetime:
    """The moment that the tables keep."""
    return _EPOCH + timedelta(microseconds=value)


def moment_or_none(value: Micros | None) -> datetime | None:
    """The moment, None when it has not come."""
    return None if value is None else moment(value)
