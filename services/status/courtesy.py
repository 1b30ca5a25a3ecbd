"""Callers of the API go first: while one of them is being answered, the projection only works a little at a time."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: An answer takes a dozen turns of the loop. They are quick while the projection sits one of these out.
_PAUSE_SECONDS: Final = 0.001


class Courtesy:
    """Who is being answered at the moment. The projection is slowed down by it, and never stopped."""

    def __init__(self) -> None:
        self._asking = 0

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Around the work on an answer, without the time that its reader takes."""
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1

    async def give_way(self) -> None:
        """Between two helpings of work of about a millisecond."""
        await asyncio.sleep(_PAUSE_SECONDS if self._asking else 0)


#: For work that nobody asks about meanwhile.
ALONE: Final = Courtesy()
