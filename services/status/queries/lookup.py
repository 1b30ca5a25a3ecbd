"""Whether an id exists. One that was accepted a moment ago must never be called unknown."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, TypeVar

from aiokafka import TopicPartition

from services.status.queries.read_database import Question, ReadDatabase
from services.status.queries.topic_ends import EndUnknown, TopicEnds
from services.status.tables import stored_offsets
from services.status.tables.change_signal import ChangeSignal
from shared.runtime.problems import Problem, kafka_down
from shared.runtime.timeouts import run_with_timeout

T = TypeVar("T")

#: What a caller named, as the tables know it; None when they do not.
Find = Question[T | None]

_PATIENCE_SECONDS: Final = 1.6
#: Where one slow question came after another.
_LIMIT_SECONDS: Final = 1.9
_ASK_AGAIN_SECONDS: Final = 0.1
#: What ids are made of. No other text can be one, and no database is asked for it.
_ID: Final = re.compile(r"[A-Za-z0-9._:~-]{1,128}")


class JobLookup:
    """Finds what callers name, waiting for the projection where that is needed."""

    def __init__(self, database: ReadDatabase, ends: TopicEnds, change_signal: ChangeSignal) -> None:
        self._database = database
        self._ends = ends
        self._change_signal = change_signal

    async def job(self, job_id: str, find: Find[T], first: Callable[[], Awaitable[T | None]] | None = None) -> T:
        """What the tables know of a job. Raises a 404 or 503 problem as `_find` says.

        `first`: a cheaper way to ask, that finds what has been there for a while.
        """
        absent = f"There is no job {job_id}."
        if first is not None and _ID.fullmatch(job_id) and (found := await first()) is not None:
            return found
        return await self._find(job_id, find, [self._ends.partition_of(job_id)], absent)

    async def batch(self, batch_id: str, find: Find[T]) -> T:
        """The same for a batch, whose job may be in any partition."""
        return await self._find(batch_id, find, self._ends.partitions(), f"There is no batch {batch_id}.")

    async def _find(self, name: str, find: Find[T], partitions: Collection[TopicPartition], absent: str) -> T:
        """Waits up to 1.9 s. Raises a 404 problem when the projection has passed what Kafka held at the request

        and knows nothing, else a 503 problem: then nobody can tell.
        """
        if not _ID.fullmatch(name):
            raise Problem(404, "not_found", absent)
        loop = asyncio.get_running_loop()
        began = loop.time()
        if (found := await self._database.read(find)) is not None:
            return found
        try:
            return await run_with_timeout(
                _LIMIT_SECONDS - (loop.time() - began), self._wait(find, partitions, absent, began)
            )
        except TimeoutError as error:
            raise _not_known_yet() from error

    async def _wait(self, find: Find[T], partitions: Collection[TopicPartition], absent: str, began: float) -> T:
        loop = asyncio.get_running_loop()
        deadline = began + _PATIENCE_SECONDS
        ends = await self._ends_now(partitions)
        while True:
            passed = await self._passed(ends)  # asked first: what passes the end afterwards is found by the next line
            if (found := await self._database.read(find)) is not None:
                return found
            if passed:
                raise Problem(404, "not_found", absent)
            if loop.time() > deadline:
                raise _not_known_yet()
            await self._change_signal.wait(_ASK_AGAIN_SECONDS)

    async def _ends_now(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        try:
            return await self._ends.ends(partitions)
        except EndUnknown as error:
            raise kafka_down() from error

    async def _passed(self, ends: Mapping[TopicPartition, int]) -> bool:
        stored = await self._database.read(lambda connection: stored_offsets.read_offsets(connection, list(ends)))
        return all(partition in stored and stored[partition] >= end for partition, end in ends.items())


def _not_known_yet() -> Problem:
    return Problem(503, "not_known_yet", "The newest events are still being read: try again.", retry_after=2)
