"""Who has an idempotency key, and what that means for the request that comes with it."""

from dataclasses import dataclass
from typing import Final

from services.ingest.keys.recovery import NotSettled, Settling
from services.ingest.keys.reservations import (
    Abandoned,
    Answered,
    InProgress,
    KeyedRequest,
    KeyState,
    OtherRequest,
    Reservations,
)
from services.ingest.problems import in_progress, key_reused

_SETTLING_SECONDS: Final = 1.4


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Looks keys up, and settles those that were abandoned."""

    reservations: Reservations
    settling: Settling

    async def answer_to(self, request: KeyedRequest) -> Answered | None:
        """The first answer to the same request; None when the key is free.

        Raises Problem 409 and 422, DatabaseDown, and NotPublished when Kafka is needed to know and does not answer.
        """
        state = await self._settled(request)
        if isinstance(state, OtherRequest):
            raise key_reused()
        if isinstance(state, InProgress | Abandoned):
            raise in_progress()
        return state if isinstance(state, Answered) else None

    async def _settled(self, request: KeyedRequest) -> KeyState:
        state = await self.reservations.look_up(request)
        if not isinstance(state, Abandoned):
            return state
        try:
            await self.settling.settle(state.reservation, _SETTLING_SECONDS)
        except NotSettled:
            return state
        return await self.reservations.look_up(request)
