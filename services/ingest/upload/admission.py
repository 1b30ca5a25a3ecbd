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

    #: From the first byte of the body to the answer. One whose client is silent does not count.
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
        self._counted = 0
        self._present = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._small = AdmissionQueue(limits.small, limits.queue)
        self._large = AdmissionQueue(limits.large, limits.queue)

    @contextmanager
    def upload(self) -> Iterator["AdmittedUpload"]:
        """One upload until the end of the block. It counts when it says so.

        Raises Problem 503 at once when there are too many or the queue is full, or the outage that fills the queue.
        """
        if self._counted >= self._limit:
            raise busy()
        if self._small.is_full:
            raise self._small.rejection()
        upload = AdmittedUpload(self)
        self._present += 1
        self._empty.clear()
        try:
            yield upload
        finally:
            upload.discount()
            self._present -= 1
            if not self._present:
                self._empty.set()

    def count(self) -> None:
        """One more upload whose client sends. Raises Problem 503 when there are too many."""
        if self._counted >= self._limit:
            raise busy()
        self._counted += 1

    def discount(self) -> None:
        """One less."""
        self._counted -= 1

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


class AdmittedUpload:
    """An upload in the service. It counts from its first byte on, but not while its client is silent."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._counts = False

    def count(self) -> None:
        """The client sends, or has sent everything. Raises Problem 503 when there are too many by now."""
        if not self._counts:
            self._admission.count()
            self._counts = True

    def discount(self) -> None:
        """The client is silent, or the upload is over."""
        if self._counts:
            self._admission.discount()
            self._counts = False
