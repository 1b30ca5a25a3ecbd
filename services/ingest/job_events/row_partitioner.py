"""Which partition Kafka's own rule gives to each row of a job: murmur2 of its key, as every Kafka client computes it.

aiokafka's own reads the whole key byte by byte in Python. All keys of a job begin alike, so here the beginning is
read once for each length, and only what follows is read for every row.
"""

from typing import Final

_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF


class RowPartitions:
    """The partitions of keys that begin with `beginning`."""

    def __init__(self, beginning: bytes, partitions: int) -> None:
        self._beginning = beginning
        self._partitions = partitions
        self._common = len(beginning) // 4 * 4
        #: By the length of the key: the hash of what all keys have in common.
        self._begun: dict[int, int] = {}

    def of(self, key: bytes) -> int:
        """The partition of a key, from 0."""
        length = len(key)
        hashed = self._begun.get(length)
        if hashed is None:
            hashed = self._begun[length] = _mixed(_SEED ^ length, self._beginning, 0, self._common)
        words = length // 4 * 4
        hashed = _mixed(hashed, key, self._common, words)
        if words < length:
            hashed = (hashed ^ int.from_bytes(key[words:], "little")) * _MIX & _WORD
        hashed = (hashed ^ hashed >> 13) * _MIX & _WORD
        return ((hashed ^ hashed >> 15) & 0x7FFFFFFF) % self._partitions


def _mixed(hashed: int, key: bytes, begin: int, end: int) -> int:
    """The hash after the words of four bytes from `begin` to `end`."""
    for at in range(begin, end, 4):
        word = int.from_bytes(key[at : at + 4], "little") * _MIX & _WORD
        hashed = hashed * _MIX & _WORD ^ (word ^ word >> 24) * _MIX & _WORD
    return hashed
