"""A dead letter: the record as it was received, and headers that say why it could not be read, and where it stood.

reason           in words, at most 500 characters
topic, partition, offset
shortened_from   its size in bytes, when it was too large to be copied whole. It is still at its own place.
"""

from collections.abc import Collection, Iterable
from typing import Final

from shared.contract.cloud_events import Headers
from shared.contract.topics import MAX_MESSAGE_BYTES

OURS: Final = frozenset(("reason", "topic", "partition", "offset", "shortened_from"))
#: Reasons may quote the record.
LONGEST_REASON: Final = 500
#: A larger record is shortened: with our headers, and Kafka's own fields round it, a topic would not take it.
LARGEST_KEPT: Final = MAX_MESSAGE_BYTES - 8_192
#: How much of its key and of its value is kept then.
KEPT_BYTES: Final = 65_536
#: What Kafka adds to a header at most.
_HEADER_BYTES: Final = 8

#: Key, value and headers of a record.
Letter = tuple[bytes | None, bytes | None, Headers]


def dead_letter(
    key: bytes | None,
    value: bytes | None,
    headers: Collection[tuple[str, bytes]],
    where: tuple[str, int, int],
    reason: str,
) -> Letter:
    """The dead letter of a record at `where`: topic, partition and offset.

    A header of the record that has the name of one of ours is kept as `original-<name>`: whether a reader takes the
    first or the last of two, it would else take the stranger's word for ours.
    """
    size = _size(key, value, headers)
    ours = _place(where, reason)
    if size > LARGEST_KEPT:
        key, value, headers = _beginning(key), _beginning(value), ()
        ours.append(("shortened_from", str(size).encode()))
    if key is None and value is None:
        value = b""  # Kafka's client writes no record that has neither
    return key, value, [*_renamed(headers), *ours]


def readable(reason: str) -> str:
    """The reason without control characters, and not a megabyte of it."""
    return "".join(each if each.isprintable() else " " for each in reason[:LONGEST_REASON])


def _place(where: tuple[str, int, int], reason: str) -> Headers:
    topic, partition, offset = where
    return [
        ("reason", readable(reason).encode(errors="replace")),
        ("topic", topic.encode()),
        ("partition", str(partition).encode()),
        ("offset", str(offset).encode()),
    ]


def _size(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> int:
    sizes = (len(name.encode()) + len(each or b"") + _HEADER_BYTES for name, each in _renamed(headers))
    return len(key or b"") + len(value or b"") + sum(sizes)


def _renamed(headers: Iterable[tuple[str, bytes]]) -> Headers:
    return [(f"original-{name}" if name in OURS else name, value) for name, value in headers]


def _beginning(part: bytes | None) -> bytes | None:
    return part and part[:KEPT_BYTES]
