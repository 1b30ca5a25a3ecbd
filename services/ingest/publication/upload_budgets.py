"""How long an upload may wait for Kafka. Its client hears of an outage within 2 s.

UploadBudget       a small upload that had to wait for others: 1.7 s after the last byte of its body
RenewedBudget      a small upload: 1.4 s after Kafka last answered it
LargeUploadBudget  a large upload: as long as it takes while Kafka answers, at most 1.45 s when it does not
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from services.ingest.problems import busy
from services.ingest.publication.connection_pool import ConnectionPool, close_connection
from shared.runtime.http.answer_budget import ANSWER_SECONDS, AnswerBudget
from shared.runtime.http.problems import kafka_down
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.timeouts import detach, run_with_timeout

T = TypeVar("T")


class KafkaSilent(TimeoutError):
    """Kafka answers nothing: what was waited for will not come soon."""


@dataclass(frozen=True, slots=True)
class UploadTimeouts:
    """The seconds of the three budgets."""

    #: A small upload that had to wait for others: from the last byte of its body.
    busy_seconds: float = ANSWER_SECONDS
    #: A small upload: from Kafka's last answer.
    small_seconds: float = 1.4
    #: A large upload asks whether Kafka answers when it has waited for so long, and then again after each answer.
    ask_after_seconds: float = 0.25
    #: So long Kafka may take to answer that question.
    ask_seconds: float = 1.2
    #: So long a large upload waits for one answer of its own from a Kafka that answers that question.
    large_seconds: float = 8.0


UPLOAD_TIMEOUTS: Final = UploadTimeouts()


class UploadBudget(AnswerBudget):
    """Ends at a fixed time, so that everybody is answered soon when there are many uploads."""

    async def queue(self, work: Coroutine[Any, Any, T], at_most: float) -> T:
        """Waits for other uploads. Raises TimeoutError when the budget, or `at_most` seconds, are used up."""
        return await self.run(work, at_most)

    async def compute(self, work: Coroutine[Any, Any, T]) -> T:
        """What our own work returns; it waits for nobody. Raises Problem 503 `busy` when no time is left after it."""
        result = await work
        if not self.remaining:
            raise busy()
        return result


class RenewedBudget(UploadBudget):
    """Starts anew whenever what was waited for came in time. Our own work takes nothing of it."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(seconds, clock)
        self._seconds = seconds

    async def run(self, work: Coroutine[Any, Any, T], at_most: float | None = None) -> T:
        """What the work returns. Raises TimeoutError when the budget, or `at_most` seconds, are used up."""
        return self._renewed(await super().run(work, at_most))

    async def compute(self, work: Coroutine[Any, Any, T]) -> T:
        """What our own work returns, however long it takes."""
        return self._renewed(await work)

    def _renewed(self, result: T) -> T:
        self._deadline = self._clock() + self._seconds
        return result


class LargeUploadBudget(UploadBudget):
    """Ends when Kafka does not answer, however long the upload takes otherwise.

    An acknowledgement of a busy Kafka may take seconds. One that is frozen, stopped or out of reach is recognised by
    a request of another kind on another connection.
    """

    def __init__(self, pool: ConnectionPool, timeouts: UploadTimeouts) -> None:
        super().__init__(timeouts.small_seconds)
        self._pool = pool
        self._timeouts = timeouts
        #: The question that Kafka has not answered yet, or whose answer was not needed yet. It outlasts one wait.
        self._asking: asyncio.Task[None] | None = None

    @property
    def remaining(self) -> float:
        """Seconds that the next wait for the database may take. It is the same for each of them."""
        return self._timeouts.small_seconds

    async def run(self, work: Coroutine[Any, Any, T], at_most: float | None = None) -> T:
        """What the work returns. Raises TimeoutError after `at_most` seconds, and KafkaSilent."""
        seconds = self._timeouts.large_seconds if at_most is None else at_most
        result = await self.compute(run_with_timeout(seconds, work))
        self._asking = None
        return result

    async def queue(self, work: Coroutine[Any, Any, T], at_most: float) -> T:
        """Waits for other uploads. Raises TimeoutError after `at_most` seconds, and Problem 503 when Kafka is silent.

        What others end with is no answer of Kafka's: an answer that is due by now is due after the wait as well.
        """
        try:
            return await self.compute(run_with_timeout(at_most, work))
        except KafkaSilent as error:
            raise kafka_down() from error

    async def compute(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns, however long it takes. Raises KafkaSilent when Kafka answers nothing meanwhile."""
        task = asyncio.create_task(work)
        try:
            while not await self._is_done(task):
                await self._answer_before(task)
            return task.result()
        finally:
            detach(task)
            task.cancel()

    async def _is_done(self, task: asyncio.Task[Any]) -> bool:
        # While Kafka owes an answer from an earlier wait, this one gives it no more time.
        seconds = 0.0 if self._asking else self._timeouts.ask_after_seconds
        return bool((await asyncio.wait({task}, timeout=seconds))[0])

    async def _answer_before(self, task: asyncio.Task[Any]) -> None:
        """Returns when Kafka answers, or the task is done first. Raises KafkaSilent."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            detach(self._asking)
        await asyncio.wait({self._asking, task}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            self._asking.result()
            self._asking = None

    async def _ask(self) -> None:
        connection = self._pool.acquire()
        try:
            await run_with_timeout(self._timeouts.ask_seconds, connection.ask())
        except KAFKA_FAILURES as error:
            close_connection(connection)
            raise KafkaSilent(str(error)) from error
        self._pool.release(connection)
