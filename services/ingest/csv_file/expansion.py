"""How much a file may grow on Kafka, where the record of each row repeats the names of all columns."""

from collections.abc import Iterable
from typing import Final

import msgspec

#: The names in all records together may have so many times the bytes of the file. A sparse export, with 34 columns of
#: ordinary names and mostly empty cells, reaches 13.
_TIMES: Final = 20
#: And so many more, in bytes: short rows under a long header are harmless while they are few.
_MORE_BYTES: Final = 64 * 1024 * 1024


def max_name_bytes(file_bytes: int) -> int:
    """Most bytes that the column names may take in the records of all rows of a file of this size."""
    return _TIMES * file_bytes + _MORE_BYTES


def max_rows(columns: Iterable[str], file_bytes: int) -> int:
    """How many rows a file of this size and with these columns may have."""
    return max_name_bytes(file_bytes) // len(msgspec.json.encode(dict.fromkeys(columns, "")))
