"""How many rows of a job get their result in a second, from counts of the last minute. Pure: no database, no clock.

Rows are counted in slots of one second, by when they got their result. Only the time in which rows could flow counts:
since the round began, and since the processors last began to send again after an outage, a pause or a restart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.status.model.timestamps import Micros

SLOT_SECONDS: Final = 1
_SLOT: Final = SLOT_SECONDS * 1_000_000
#: How much of the past counts, and how much is kept: a processor's clock may be behind.
WINDOW_SLOTS: Final = 60
KEPT_SLOTS: Final = 120
#: Until so many rows have their result the configured rate stands in for those that are missing.
_ENOUGH_ROWS: Final = 10
#: Without a result for so long, and for so many times the usual distance of two results, rows do not flow.
_SILENT_SECONDS: Final = 3.0
_SILENT_INTERVALS: Final = 8


@dataclass(frozen=True, slots=True)
class Throughput:
    """Results in the time that counts, how long that is, and how long ago the last one came, in seconds."""

    rows: int = 0
    seconds: float = 0.0
    silent: float = 0.0

    def per_second(self, configured: float = 0.0) -> float:
        """Rows a second. `configured`: what the rate limit allows, 0 = no limit. 0 when nobody can know."""
        if self.rows >= _ENOUGH_ROWS or not configured:
            return self.rows / self.seconds if self.rows else configured
        missing = _ENOUGH_ROWS - self.rows
        return _ENOUGH_ROWS / (self.seconds + missing / configured)

    @property
    def measured(self) -> float:
        """Rows a second, 0 while none has its result."""
        return self.rows / self.seconds if self.rows else 0.0

    def is_silent(self, per_second: float) -> bool:
        """Whether rows that came at this rate have stopped to come."""
        return bool(self.rows) and self.silent > max(_SILENT_SECONDS, _SILENT_INTERVALS / per_second)


NOTHING_YET: Final = Throughput()


def slot_of(moment: Micros) -> int:
    """The slot of time that a moment falls into."""
    return moment // _SLOT


def first_recent_slot(at: Micros) -> int:
    """Where the last minute begins."""
    return slot_of(at) - WINDOW_SLOTS


def throughput(slots: Sequence[tuple[int, int]], since: Micros, at: Micros) -> Throughput:
    """What the counts say at a moment. `slots`: (slot, rows), in any order; `since`: when rows began to flow.

    The slot in which the first result came is left out where others follow: nobody knows which part of it was empty.
    """
    found = sorted((slot, rows) for slot, rows in slots if slot_of(since) <= slot <= slot_of(at) and rows > 0)
    if not found:
        return NOTHING_YET
    silent = max((at - (found[-1][0] + 1) * _SLOT) / 1_000_000, 0.0)
    begin = found[0][0] * _SLOT
    rest = found[1:] if found[0][0] > first_recent_slot(at) else found
    if rest and at - (begin + _SLOT) >= _SLOT:
        found, begin = rest, begin + _SLOT * (rest is not found)
    seconds = max((at - max(begin, since)) / 1_000_000, 0.5)
    return Throughput(sum(rows for _, rows in found), seconds, silent)
