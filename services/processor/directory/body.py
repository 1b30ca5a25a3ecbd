"""Reads the body of the directory's response, up to a limit: an endless one must not fill the memory."""

from typing import Final

import aiohttp

#: A look-up's answer: 1,000 hospitals of 16 KiB each.
LISTING_BYTES: Final = 16 * 1024 * 1024
#: The answer to a creation or to an activation: one hospital, or a message.
ANSWER_BYTES: Final = 1024 * 1024


class BodyTooLong(ValueError):
    """The response's body is longer than allowed. The rest of it has not been read."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the directory's answer is longer than {limit // 1024} KiB")


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, unpacked. Raises BodyTooLong after `limit` bytes. Whatever it raises, the connection is closed.

    A packed body is unpacked piece by piece, so the limit holds for what it becomes.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := await response.content.readany():
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise BodyTooLong(limit)
    except BaseException:
        response.close()  # also when the call has been given up
        raise
    return b"".join(pieces)
