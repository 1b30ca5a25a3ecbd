"""What became of an upload whose reservation was abandoned: its job exists, or it never will."""

import asyncio
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from services.ingest.keys.database import DatabaseDown
from services.ingest.keys.reservations import Reservation, Reservations
from services.ingest.metrics import SETTLED
from services.ingest.publication.connection_pool import Connections
from services.ingest.publication.job_transaction import NotPublished, fence
from services.ingest.publication.jobs_topic import JobsLog
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

SWEEP_SECONDS: Final = 10.0
_SWEEPERS_PATIENCE: Final = 30.0


class NotSettled(RuntimeError):
    """It could not be seen in time what became of it: the key stays in progress, and the sweeper tries again."""


class Settling:
    """Settles by fencing first and looking afterwards: what is not there then will never be."""

    def __init__(self, connections: Connections, reservations: Reservations, jobs: JobsLog) -> None:
        self._connections = connections
        self._reservations = reservations
        self._jobs = jobs

    async def settle(self, reservation: Reservation, seconds: float) -> None:
        """Accepts or frees the reservation. Twice, or by two at once, is once.

        Raises NotPublished when Kafka does not answer, DatabaseDown, and NotSettled when it takes longer than so long.
        """
        await fence(self._connections, reservation.job_id, 0.8 * seconds)
        try:
            exists = await run_with_timeout(seconds, self._exists(reservation))
        except (KafkaError, OSError, TimeoutError) as error:
            raise NotSettled(str(error)) from error
        await self._resolve(reservation, exists)

    async def sweep(self) -> None:
        """Settles all that was abandoned and forgets what has expired, every 10 s, for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep_once()
            except DatabaseDown as error:
                log.warning("sweep_put_off", reason=str(error))

    async def sweep_once(self) -> None:
        """One round of it. Raises DatabaseDown."""
        await self._reservations.forget()
        for reservation in await self._reservations.abandoned():
            try:
                await self.settle(reservation, _SWEEPERS_PATIENCE)
            except (NotSettled, NotPublished) as error:
                log.warning("settling_put_off", job_id=reservation.job_id, reason=str(error))

    async def _exists(self, reservation: Reservation) -> bool:
        return await self._jobs.holds(reservation.job_id, reservation.jobs_partition, reservation.jobs_offset)

    async def _resolve(self, reservation: Reservation, exists: bool) -> None:
        if exists:
            await self._reservations.accept(reservation)
        else:
            await self._reservations.free(reservation.job_id)
        found = "accepted" if exists else "freed"
        SETTLED.labels(found).inc()
        log.info("reservation_settled", job_id=reservation.job_id, found=found)
