"""The Retry-After header: seconds, or a date (RFC 9110, 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

#: The longest wait that is accepted, in seconds.
LONGEST: Final = 3600.0


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The header's wait in seconds, between 0 and an hour; None when it is missing or cannot be read."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), LONGEST)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - (now or datetime.now(UTC))).total_seconds(), 0.0), LONGEST)
