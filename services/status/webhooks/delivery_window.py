"""How far the messages of one partition are: what is read, what is done, and what a commit says of it. Pure.

A commit is the offset of the first message that is not done. Which of those after it are done stands in its metadata,
so that whoever goes on from there posts none of them again. Done: delivered, or given up.
"""

from itertools import takewhile
from typing import Final

from shared.contract.row_set import decode_rows, encode_bitmap

#: Kafka takes 4,096 bytes of metadata (`offset.metadata.max.bytes`).
_MAX_METADATA_CHARS: Final = 4_000
#: So far after the first that is not done a commit looks: what it costs is bounded, however much is done behind it.
_MOST_PLACES: Final = 262_144


class DeliveryWindow:
    """A partition from an offset on. `metadata`: of the commit that said so; one that says nothing is ignored.

    Messages are admitted in the order of their offsets.
    """

    def __init__(self, offset: int, metadata: str = "") -> None:
        self.position = offset
        self._pending: set[int] = set()
        #: Bit n: the message at `_begin` + n. There may be a million behind one that nobody takes.
        self._begin, self._done = offset, _decoded(metadata)
        self._text: str | None = None

    def admit(self, offset: int) -> bool:
        """A message was read at this offset. Returns whether it is still to be delivered."""
        self.position = max(self.position, offset + 1)
        if self._done >> (offset - self._begin) & 1:
            return False
        self._pending.add(offset)
        return True

    def advance(self, position: int) -> None:
        """Everything before this position was read."""
        self.position = max(self.position, position)

    def finish(self, offset: int) -> None:
        """The message needs nothing more."""
        self._pending.discard(offset)
        place = offset - self._begin
        self._done |= 1 << place
        if place < _MOST_PLACES:
            self._text = None

    def commit(self) -> tuple[int, str]:
        """From which offset on it has to be read again, and which messages after it are done.

        Of these as many, from the first one on, as Kafka takes: the others are posted again after a restart, with the
        same id.
        """
        offset = min(self._pending, default=self.position)
        if offset != self._begin:
            self._done >>= offset - self._begin
            self._begin, self._text = offset, None
        if self._text is None:
            self._text = _encoded(self._done)
        return offset, self._text


def _encoded(done: int) -> str:
    places = min(done.bit_length(), _MOST_PLACES)
    while True:
        bits = done & (1 << places) - 1
        text = encode_bitmap(bits.to_bytes((bits.bit_length() + 7) // 8, "little"))
        if len(text) <= _MAX_METADATA_CHARS:
            return text
        places //= 2


def _decoded(metadata: str) -> int:
    bitmap = bytearray(_MOST_PLACES // 8)
    try:
        for place in takewhile(lambda each: each < _MOST_PLACES, decode_rows(metadata)):
            bitmap[place // 8] |= 1 << place % 8
    except ValueError:
        return 0
    return int.from_bytes(bitmap, "little")
