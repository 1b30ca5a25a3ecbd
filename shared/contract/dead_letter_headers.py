"""What the headers of a dead letter say: why the record could not be read, and where it stood."""

from collections.abc import Iterable
from typing import Final

from shared.contract.cloud_events import Headers

OURS: Final = frozenset(("reason", "topic", "partition", "offset"))


def dead_letter_headers(
    received: Iterable[tuple[str, bytes]], topic: str, partition: int, offset: int, reason: str
) -> Headers:
    """The record's own headers as received, and ours.

    A header of the record that has the name of one of ours is kept as `original-<name>`: whether a reader takes the
    first or the last of two, it would else take the stranger's word for ours.
    """
    return [
        *((f"original-{name}" if name in OURS else name, value) for name, value in received),
        ("reason", reason.encode()),
        ("topic", topic.encode()),
        ("partition", str(partition).encode()),
        ("offset", str(offset).encode()),
    ]
