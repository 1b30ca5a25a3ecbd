"""A set of a job's rows as text for an event: at most 170 kB for any of a million rows."""

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

#: The largest row that is read; no job has more.
MAX_ROW: Final = 16_000_000
_MAX_BYTES: Final = MAX_ROW // 8 + 1


def encode_rows(rows: Iterable[int]) -> str:
    """The rows as text; empty for no row.

    Base64 of a zlib-compressed bitmap: row r is bit r % 8, from the lowest, of byte r // 8.
    Raises ValueError when a row is negative or larger than MAX_ROW.
    """
    bitmap = bytearray()
    for row in rows:
        if not 0 <= row <= MAX_ROW:
            raise ValueError(f"row {row} is not between 0 and {MAX_ROW}")
        if row // 8 >= len(bitmap):
            bitmap.extend(bytes(row // 8 + 1 - len(bitmap)))
        bitmap[row // 8] |= 1 << row % 8
    return encode_bitmap(bitmap)


def encode_bitmap(bitmap: bytes | bytearray) -> str:
    """The same of rows that are a bitmap already."""
    return base64.b64encode(zlib.compress(bitmap, 9)).decode() if bitmap else ""


def decode_rows(text: str) -> Iterator[int]:
    """The rows of a text that `encode_rows` made, in ascending order. Raises ValueError when it is no such text."""
    if not text:
        return
    try:
        reader = zlib.decompressobj()
        bitmap = reader.decompress(base64.b64decode(text, validate=True), _MAX_BYTES + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"not a set of rows: {error}") from None
    if not reader.eof or len(bitmap) > _MAX_BYTES:
        raise ValueError("not a set of rows: cut off, or larger than any job")
    for place, byte in enumerate(bitmap):
        if byte:
            yield from (place * 8 + bit for bit in range(8) if byte >> bit & 1)
