"""The partition of each row of a job by Kafka's rule: murmur2 of its key, as every Kafka client computes it.

aiokafka's murmur2 reads the whole key byte by byte in Python. All keys of a job begin with the same bytes. Here those
are hashed once for each length of key, and only the rest is hashed for every row.
"""

from typing import Final

_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF


class RowPartitioner:
    """Computes the partitions of keys that begin with `prefix`."""

    def __init__(self, prefix: bytes, partitions: int) -> None:
        self._prefix = prefix
        self._partitions = partitions
        self._common = len(prefix) // 4 * 4
        #: The hash of the common prefix, by the length of the key.
        self._prefix_hashes: dict[int, int] = {}

    def partition_of(self, key: bytes) -> int:
        """The partition of a key, from 0."""
        length = len(key)
        hashed = self._prefix_hashes.get(length)
        if hashed is None:
            hashed = self._prefix_hashes[length] = _mixed(_SEED ^ length, self._prefix, 0, self._common)
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
