"""The reservation of a job while it is published: renewed, and changed when the outcome is known."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog

from services.ingest.keys.reservations import Reservation, Reservations
from shared.runtime.databases import DatabaseDown
from shared.runtime.timeouts import detach

log = structlog.get_logger(__name__)

RENEWAL_SECONDS: Final = 5.0
#: How long the answer of a failed upload waits for the database. The change goes on in the background.
_FAILED_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Lease:
    """One job's reservation. No method raises: what cannot be changed now is settled when the lease has ended."""

    reservations: Reservations
    reservation: Reservation
    renewal_seconds: float = RENEWAL_SECONDS

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renews the lease until the end of the block."""
        renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            renewing.cancel()

    async def accept(self) -> None:
        """The job was committed."""
        await self._change(self.reservations.accept(self.reservation))

    async def free(self) -> None:
        """The job was not published. Waits for 0.25 s at most."""
        await self._change_soon(self.reservations.free(self.reservation.job_id))

    async def abandon(self) -> None:
        """The outcome is unknown. Waits for 0.25 s at most."""
        await self._change_soon(self.reservations.abandon(self.reservation.job_id))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.renewal_seconds)
            await self._change(self.reservations.renew(self.reservation.job_id))

    async def _change(self, change: Coroutine[Any, Any, object]) -> None:
        try:
            await change
        except DatabaseDown as error:
            log.warning("reservation_left_to_sweeper", job_id=self.reservation.job_id, reason=str(error))
        except Exception:
            # Else nobody would renew the lease any more, without a word.
            log.exception("reservation_fault", job_id=self.reservation.job_id)

    async def _change_soon(self, change: Coroutine[Any, Any, object]) -> None:
        changing = asyncio.create_task(self._change(change))
        detach(changing)
        await asyncio.wait({changing}, timeout=_FAILED_SECONDS)
