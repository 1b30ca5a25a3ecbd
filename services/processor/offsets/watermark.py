"""What a lane commits for a partition: the offset, and in the commit's metadata the horizon and the bitmap.

The metadata is text: `v1:<r or ->:<horizon>:<delivered>:<bitmap, base64>:<crc32>`. It has at most 4,096 bytes: the
broker refuses more, and a producer whose commit was refused cannot be used again.
"""

import base64
import binascii
import re
import zlib
from dataclasses import dataclass
from typing import Final

MAX_METADATA_BYTES: Final = 4096
_FORM: Final = re.compile(r"v1:([r-]):(\d{1,19}):(\d{1,6}):([A-Za-z0-9+/=]*):([0-9a-f]{8})")
#: A horizon above every offset: everything behind the watermark's offset is in doubt.
EVERYTHING: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Watermark:
    """A partition's progress: everything before `offset` is done, nothing from `horizon` on has been sent.

    Bit i of `done` is set when the i-th record delivered from `offset` on is done. `delivered` is the number of bits.
    `released`: nothing has been sent since this commit began.
    """

    offset: int
    horizon: int
    delivered: int = 0
    done: int = 0
    released: bool = False

    def metadata(self) -> str:
        """The text that is committed beside the offset."""
        bitmap = self.done.to_bytes((self.done.bit_length() + 7) // 8, "little")
        body = f"v1:{'r' if self.released else '-'}:{self.horizon}:{self.delivered}:{base64.b64encode(bitmap).decode()}"
        return f"{body}:{zlib.crc32(body.encode()):08x}"


def read_watermark(offset: int, metadata: str) -> Watermark:
    """The watermark in a commit. With damaged metadata everything behind the offset is in doubt."""
    found = _FORM.fullmatch(metadata)
    if found is None or f"{zlib.crc32(metadata[:-9].encode()):08x}" != found[5]:
        return Watermark(offset, EVERYTHING)
    try:
        done = int.from_bytes(base64.b64decode(found[4], validate=True), "little")
    except binascii.Error:
        return Watermark(offset, EVERYTHING)
    return Watermark(offset, int(found[2]), int(found[3]), done, released=found[1] == "r")
