"""Finds out what became of uploads that broke off: the job exists, or it never will."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from services.ingest.keys.reservations import Reservation, Reservations
from services.ingest.metrics import SETTLED
from services.ingest.publication.connection_pool import ConnectionPool
from services.ingest.publication.job_transaction import NotPublished, fence
from services.ingest.publication.jobs_topic import JobsTopic
from shared.runtime.databases import DatabaseDown
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.kafka.failures import KAFKA_FAILURES

log = structlog.get_logger(__name__)

_SWEEP_SECONDS: Final = 10.0
#: How long a sweep waits for Kafka, for each reservation.
_SETTLE_SECONDS: Final = 30.0


class NotSettled(RuntimeError):
    """It was not found out in time. The key stays in progress, and the next sweep tries again."""


class Recovery:
    """Settles reservations. It fences the job's producer first: a job that is not there afterwards will never be.

    `clock`: seconds, never going back.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        reservations: Reservations,
        jobs: JobsTopic,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connections = pool
        self._reservations = reservations
        self._jobs = jobs
        self._clock = clock

    async def settle(self, reservation: Reservation, budget: AnswerBudget) -> None:
        """Accepts or frees the reservation. It may be done twice, or by two replicas at once.

        Raises NotPublished when Kafka does not answer, NotSettled when the budget is used up, and DatabaseDown.
        """
        await fence(self._connections, reservation.job_id, budget)
        try:
            exists = await budget.run(self._exists(reservation))
        except KAFKA_FAILURES as error:
            raise NotSettled(str(error)) from error
        await self._resolve(reservation, exists)

    async def sweep(self) -> None:
        """Settles abandoned reservations and deletes expired ones, every 10 s, for ever."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                await self.sweep_once()
            except DatabaseDown as error:
                log.warning("sweep_put_off", reason=str(error))

    async def sweep_once(self) -> None:
        """Does that once. Raises DatabaseDown."""
        await self._reservations.delete_expired()
        for reservation in await self._reservations.abandoned():
            try:
                await self.settle(reservation, AnswerBudget(_SETTLE_SECONDS, self._clock))
            except (NotSettled, NotPublished) as error:
                log.warning("settling_put_off", job_id=reservation.job_id, reason=str(error))
            except DatabaseDown:
                raise
            except Exception:
                # Those behind it are settled all the same, and this one is tried again.
                log.exception("settling_fault", job_id=reservation.job_id)

    async def _exists(self, reservation: Reservation) -> bool:
        return await self._jobs.has_job(reservation.job_id, reservation.jobs_partition, reservation.jobs_offset)

    async def _resolve(self, reservation: Reservation, exists: bool) -> None:
        if exists:
            await self._reservations.accept(reservation)
        else:
            await self._reservations.free(reservation.job_id)
        found = "accepted" if exists else "freed"
        SETTLED.labels(found).inc()
        log.info("reservation_settled", job_id=reservation.job_id, found=found)
