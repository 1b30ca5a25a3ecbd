"""How far the messages of one partition are: what is read, what is done, and what a commit says of it. Pure.

A commit is the offset of the first message that is not done. Which of those after it are done stands in its metadata,
so that whoever goes on from there posts none of them again. Done: delivered, or given up.
"""

from typing import Final

from shared.contract.row_set import decode_rows, encode_rows

#: Kafka takes 4,096 bytes of metadata (`offset.metadata.max.bytes`).
_MAX_METADATA_CHARS: Final = 4_000


class DeliveryWindow:
    """A partition from an offset on. `metadata`: of the commit that said so; one that says nothing is ignored."""

    def __init__(self, offset: int, metadata: str = "") -> None:
        self.position = offset
        self._pending: set[int] = set()
        self._done = {offset + each for each in _decoded(metadata)}

    def admit(self, offset: int) -> bool:
        """A message was read at this offset. Returns whether it is still to be delivered."""
        self.position = max(self.position, offset + 1)
        if offset in self._done:
            return False
        self._pending.add(offset)
        return True

    def advance(self, position: int) -> None:
        """Everything before this position was read."""
        self.position = max(self.position, position)

    def finish(self, offset: int) -> None:
        """The message needs nothing more."""
        self._pending.discard(offset)
        self._done.add(offset)

    def commit(self) -> tuple[int, str]:
        """From which offset on it has to be read again, and which messages after it are done.

        Of these as many, from the first one on, as Kafka takes: the others are posted again after a restart, with the
        same id.
        """
        offset = min(self._pending, default=self.position)
        self._done = {each for each in self._done if each > offset}
        places = sorted(each - offset for each in self._done)
        while len(text := encode_rows(places)) > _MAX_METADATA_CHARS:
            places = places[: len(places) // 2]
        return offset, text


def _decoded(metadata: str) -> list[int]:
    try:
        return list(decode_rows(metadata))
    except ValueError:
        return []
