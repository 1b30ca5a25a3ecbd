"""A window: the delivered records of one partition from the first unfinished one on.

Rows finish in any order. The offset to commit is that of the first unfinished record; a bitmap tells which of the
records behind it are done. Bit i is the i-th record *delivered* from the offset on, not offset + i: aborted records
take offsets too and are never delivered.

Pure: no clock, no I/O.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.processor.offsets.watermark import Watermark


@dataclass(slots=True, eq=False)
class Place:
    """Where a delivered record is: its offset, and its number among the records delivered to this window."""

    offset: int
    number: int


class Window:
    """The delivered records of one partition from its watermark on.

    `restored` is what the last owner committed. Records that are done in its bitmap are not handed out again. Records
    below its horizon are in doubt, also those that are delivered only later.
    """

    def __init__(self, restored: Watermark) -> None:
        self._places: dict[int, Place] = {}
        self._first = 0
        self._next = 0
        self._done = 0  # bit i: the record number _first + i is done
        self._position = restored.offset
        self._restored_bits = restored.done
        self._restored_count = restored.delivered
        self._restored_horizon = restored.horizon
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
        """Takes a delivered record in. Returns None when the last owner had finished it.

        Raises ValueError when the offset is not behind all that have been delivered.
        """
        if offset < self._position:
            raise ValueError(f"offset {offset} was delivered before {self._position}")
        place = Place(offset, self._next)
        self._places[place.number] = place
        self._next += 1
        self._position = offset + 1
        if self._take_restored_bit():
            self.finish(place)
            return None
        return place

    def _take_restored_bit(self) -> bool:
        if not self._restored_count:
            return False
        done = self._restored_bits & 1
        self._restored_bits >>= 1
        self._restored_count -= 1
        return bool(done)

    def is_in_doubt(self, place: Place) -> bool:
        """Whether the last owner may have sent this record without committing a result for it."""
        return place.offset < self._restored_horizon

    def moved_to(self, position: int) -> None:
        """The consumer's position. It also passes what is never delivered, such as a transaction's marker."""
        self._position = max(self._position, position)

    def finish(self, place: Place) -> None:
        """The record is done. Raises ValueError when it is done already: a row has one result."""
        index = place.number - self._first
        if index < 0 or self._done >> index & 1:
            raise ValueError(f"offset {place.offset} is done already")
        self._done |= 1 << index
        del self._places[place.number]  # of what is done one bit is kept
        self._advance()

    def _advance(self) -> None:
        done = (~self._done & (self._done + 1)).bit_length() - 1  # the number of trailing ones
        self._first += done
        self._done >>= done

    def extend_horizon(self, place: Place) -> None:
        """Moves the horizon so that it covers a record; never back."""
        self._horizon = max(self._horizon, place.offset + 1)

    def shrink_horizon(self, uncertain: Iterator[Place]) -> None:
        """Moves the horizon back to just above what may have been sent: for an idle topic, and for a hand-over.

        `uncertain` are the records in flight or in doubt. Records that the last owner may have sent, and that have not
        been delivered to us yet, stay below the horizon too.
        """
        least = max((place.offset + 1 for place in uncertain), default=0)
        if self._position < self._restored_horizon:
            least = max(least, self._restored_horizon)
        self._horizon = max(self.offset, least)

    def watermark(self, *, released: bool = False) -> Watermark:
        """What to commit: the offset to start from, and which records behind it are done or may have been sent."""
        # The restored bits of records that have not been delivered yet come behind those that have been.
        bits = self._done | self._restored_bits << len(self)
        return Watermark(
            offset=self.offset,
            horizon=max(self._horizon, self.offset),
            delivered=(len(self) + self._restored_count) if bits else 0,
            done=bits,
            released=released,
        )
