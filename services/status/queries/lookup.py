"""Whether an id exists. One that was accepted a moment ago must never be called unknown."""

import contextlib
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, TypeVar

from aiokafka import TopicPartition

from services.status.queries.read_database import Question, ReadDatabase
from services.status.queries.topic_ends import EndUnknown, TopicEnds
from services.status.tables import stored_offsets
from services.status.tables.change_signal import ChangeSignal
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.http.problems import Problem, kafka_down

T = TypeVar("T")

#: Finds in the tables what a caller named; None when they do not know it.
Find = Question[T | None]

_ASK_AGAIN_SECONDS: Final = 0.1
#: A replica does not hear of what others project.
_LOOK_AGAIN_SECONDS: Final = 0.03
#: What the last question to the tables may take.
_LAST_QUESTION_SECONDS: Final = 0.2
#: What ids are made of. No other text can be one, and no database is asked for it.
_ID: Final = re.compile(r"[A-Za-z0-9._:~-]{1,128}")


class JobLookup:
    """Finds what callers name. Where the tables do not know it yet, it waits for the projection."""

    def __init__(self, database: ReadDatabase, ends: TopicEnds, change_signal: ChangeSignal) -> None:
        self._database = database
        self._ends = ends
        self._change_signal = change_signal

    async def job(
        self,
        job_id: str,
        find: Find[T],
        budget: AnswerBudget,
        first: Callable[[], Awaitable[T | None]] | None = None,
    ) -> T:
        """What the tables know of a job. Raises a 404 or 503 problem as `_find` says.

        `first`: a cheaper way to ask, that finds what has been there for a while.
        """
        absent = f"There is no job {job_id}."
        if first is not None and _ID.fullmatch(job_id) and (found := await first()) is not None:
            return found
        return await self._find(job_id, find, [self._ends.partition_of(job_id)], absent, budget)

    async def batch(self, batch_id: str, find: Find[T], budget: AnswerBudget) -> T:
        """The same for a batch, whose job may be in any partition."""
        return await self._find(batch_id, find, self._ends.partitions(), f"There is no batch {batch_id}.", budget)

    async def caught_up(self, budget: AnswerBudget) -> None:
        """Waits until the projection has passed all that hospital.jobs holds now, in all of its partitions.

        Raises a 503 problem when it has not within the budget, or Kafka or the database is away.
        """
        found = await self._ends_now(self._ends.partitions(), budget)
        ends = {partition: end for partition, end in found.items() if end}
        while not await self._passed(ends, budget):
            if budget.remaining < _ASK_AGAIN_SECONDS + _LAST_QUESTION_SECONDS:
                raise _not_known_yet()
            await self._change_signal.wait(_LOOK_AGAIN_SECONDS)

    async def read(self, question: Question[T], seconds: float) -> T:
        """The answer of the tables. Raises a 503 problem when the database is away."""
        return await self._database.read(question, seconds)

    async def is_passed(self, partition: TopicPartition, offset: int, seconds: float) -> bool:
        """Waits until the projection has passed an offset, on whichever replica: then all replicas' answers know of it.

        Returns False when it has not within so many seconds, also when the database is away.
        """
        budget = AnswerBudget(seconds)
        while budget.remaining:
            with contextlib.suppress(Problem):
                if await self._passed({partition: offset + 1}, budget):
                    return True
            await self._change_signal.wait(min(_LOOK_AGAIN_SECONDS, budget.remaining))
        return False

    async def _find(
        self, name: str, find: Find[T], partitions: Collection[TopicPartition], absent: str, budget: AnswerBudget
    ) -> T:
        """Waits for as long as the budget lasts.

        Raises a 404 problem when the projection has passed what Kafka held at the request, and the tables know nothing.
        Raises a 503 problem when that cannot be known in time.
        """
        if not _ID.fullmatch(name):
            raise Problem(404, "not_found", absent)
        if (found := await self._database.read(find, budget.remaining)) is not None:
            return found
        ends = await self._ends_now(partitions, budget)
        while True:
            # Before the next question: what is projected between the two is found by the second.
            passed = await self._passed(ends, budget)
            if (found := await self._database.read(find, budget.remaining)) is not None:
                return found
            if passed:
                raise Problem(404, "not_found", absent)
            if budget.remaining < _ASK_AGAIN_SECONDS + _LAST_QUESTION_SECONDS:
                raise _not_known_yet()
            await self._change_signal.wait(_ASK_AGAIN_SECONDS)

    async def _ends_now(
        self, partitions: Collection[TopicPartition], budget: AnswerBudget
    ) -> Mapping[TopicPartition, int]:
        try:
            return await self._ends.ends(partitions, budget.remaining)
        except EndUnknown as error:
            raise kafka_down() from error

    async def _passed(self, ends: Mapping[TopicPartition, int], budget: AnswerBudget) -> bool:
        stored = await self._database.read(
            lambda connection: stored_offsets.read_offsets(connection, list(ends)), budget.remaining
        )
        return all(partition in stored and stored[partition] >= end for partition, end in ends.items())


def _not_known_yet() -> Problem:
    return Problem(503, "not_known_yet", "The newest events are still being read: try again.", retry_after=2)
