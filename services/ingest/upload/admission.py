"""How many uploads are worked on at a time. The others are told at once to come back."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from services.ingest.problems import busy
from services.ingest.upload.admission_queue import QUEUE_LIMITS, AdmissionQueue, QueueBudget, QueueLimits, Slot


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How many uploads there may be at a time."""

    #: From the first byte of the body to the answer.
    uploads: int = 256
    #: Small ones that are worked on. They mostly compute, so more of them would only slow each other down.
    small: int = 8
    #: Large ones that are published.
    large: int = 24
    queue: QueueLimits = QUEUE_LIMITS


ADMISSION_LIMITS: Final = AdmissionLimits()


class Admission:
    """Counts the uploads in the service and gives out slots."""

    def __init__(self, limits: AdmissionLimits = ADMISSION_LIMITS) -> None:
        self._limit = limits.uploads
        self._uploads = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._small = AdmissionQueue(limits.small, limits.queue)
        self._large = AdmissionQueue(limits.large, limits.queue)

    @contextmanager
    def upload(self) -> Iterator[None]:
        """Counts one upload until the end of the block.

        Raises Problem 503 at once when there are too many or the queue is full, or the outage that fills the queue.
        """
        if self._uploads == self._limit:
            raise busy()
        if self._small.is_full:
            raise self._small.rejection()
        self._uploads += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._uploads -= 1
            if not self._uploads:
                self._empty.set()

    async def empty(self, seconds: float) -> None:
        """Returns when there is no upload, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()

    def small(self, budget: QueueBudget) -> AbstractAsyncContextManager[Slot]:
        """A slot to work on a small upload. Raises Problem 503 when none becomes free in time."""
        return self._small.slot(budget)

    def large(self, budget: QueueBudget) -> AbstractAsyncContextManager[Slot]:
        """A slot to publish a large upload. Raises Problem 503 when none becomes free in time."""
        return self._large.slot(budget)
