"""A window: the records of one partition that have been delivered and are not all done yet.

Rows finish in any order; the offset to commit is that of the first unfinished one, and a bitmap tells which of those
behind it are done. Bit i is the i-th record *delivered* after the offset, not offset + i: aborted records take offsets
too and are never delivered. Pure: no clock, no I/O.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.processor.offsets.watermark import Watermark


@dataclass(slots=True, eq=False)
class Place:
    """Where a delivered record stands in its window."""

    offset: int
    number: int


class Window:
    """The delivered records of one partition from its watermark on.

    `restored` is what the last owner committed: records that its bitmap calls done are not handed out again, and
    those below its horizon are in doubt, whether they have been delivered to us yet or not.
    """

    def __init__(self, restored: Watermark) -> None:
        self._places: dict[int, Place] = {}
        self._first = 0
        self._next = 0
        self._done = 0  # bit i: the record number _first + i is done
        self._position = restored.offset
        self._inherited_bits = restored.done
        self._inherited_count = restored.delivered
        self._inherited_horizon = restored.horizon
        self._horizon = max(restored.horizon, restored.offset)

    def __len__(self) -> int:
        return self._next - self._first

    @property
    def unfinished(self) -> int:
        """How many delivered records are not done."""
        return len(self) - self._done.bit_count()

    @property
    def position(self) -> int:
        """The offset after the last delivered record."""
        return self._position

    @property
    def offset(self) -> int:
        """The watermark: everything before it is done."""
        return self._places[self._first].offset if self._places else self._position

    @property
    def horizon(self) -> int:
        """No record at or after this offset may have been sent."""
        return self._horizon

    def admit(self, offset: int) -> Place | None:
        """A record has been delivered. Returns None when the last owner had finished it.

        Raises ValueError when the offset does not lie behind all that were delivered.
        """
        if offset < self._position:
            raise ValueError(f"offset {offset} was delivered before {self._position}")
        place = Place(offset, self._next)
        self._places[place.number] = place
        self._next += 1
        self._position = offset + 1
        if self._inherits_done():
            self.finish(place)
            return None
        return place

    def _inherits_done(self) -> bool:
        if not self._inherited_count:
            return False
        done = self._inherited_bits & 1
        self._inherited_bits >>= 1
        self._inherited_count -= 1
        return bool(done)

    def is_in_doubt(self, place: Place) -> bool:
        """Whether the last owner may have sent this record without our knowing what came of it."""
        return place.offset < self._inherited_horizon

    def moved_to(self, position: int) -> None:
        """The consumer has passed records that are never delivered, such as the marker of a transaction."""
        self._position = max(self._position, position)

    def finish(self, place: Place) -> None:
        """A record is done. Finishing it twice is an error of the caller, since it has one result."""
        index = place.number - self._first
        if index < 0 or self._done >> index & 1:
            raise ValueError(f"offset {place.offset} is done already")
        self._done |= 1 << index
        self._advance()

    def _advance(self) -> None:
        done = (~self._done & (self._done + 1)).bit_length() - 1  # how many of the lowest bits are set
        for number in range(self._first, self._first + done):
            del self._places[number]
        self._first += done
        self._done >>= done

    def extend_horizon(self, place: Place) -> None:
        """Moves the horizon so that it covers a record; never back while work is left."""
        self._horizon = max(self._horizon, place.offset + 1)

    def settle_horizon(self, unsettled: Iterator[Place]) -> None:
        """Draws the horizon in to just above what may have been sent: for an idle lane, and for a hand-over.

        `unsettled` are the records in flight or in doubt. What the last owner may have sent and has not been
        delivered to us stays below the horizon.
        """
        least = max((place.offset + 1 for place in unsettled), default=0)
        if self._position < self._inherited_horizon:
            least = max(least, self._inherited_horizon)
        self._horizon = max(self.offset, least)

    def watermark(self, *, released: bool = False) -> Watermark:
        """What to commit: where to start again, and what behind it is done or may have been sent."""
        # What was inherited and has not been delivered to us yet stands behind what has been.
        bits = self._done | self._inherited_bits << len(self)
        return Watermark(
            offset=self.offset,
            horizon=max(self._horizon, self.offset),
            delivered=(len(self) + self._inherited_count) if bits else 0,
            done=bits,
            released=released,
        )
