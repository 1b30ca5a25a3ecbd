"""Replays the answer of an upload when the same request comes again."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.ingest.keys.recovery import NotSettled, Recovery
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
from shared.runtime.http.answer_budget import AnswerBudget

#: How long a request may wait until an earlier upload under its key is settled.
SETTLE_SECONDS: Final = 1.4


@dataclass(frozen=True, slots=True)
class Replays:
    """Looks up keys. Settles the reservation of a key that was abandoned. `clock`: seconds, never going back."""

    reservations: Reservations
    recovery: Recovery
    settle_seconds: float = SETTLE_SECONDS
    clock: Callable[[], float] = time.monotonic

    async def answer_to(self, request: KeyedRequest, budget: AnswerBudget) -> Answered | None:
        """The first answer to the same request; None when the key is free.

        Raises Problem 409 and 422, DatabaseDown, and NotPublished when Kafka is needed to know and does not answer.
        """
        state = await self._settled(request, budget)
        if isinstance(state, OtherRequest):
            raise key_reused()
        if isinstance(state, InProgress | Abandoned):
            raise in_progress()
        return state if isinstance(state, Answered) else None

    async def _settled(self, request: KeyedRequest, budget: AnswerBudget) -> KeyState:
        state = await self.reservations.look_up(request, budget.remaining)
        if not isinstance(state, Abandoned):
            return state
        try:
            seconds = min(self.settle_seconds, budget.remaining)
            await self.recovery.settle(state.reservation, AnswerBudget(seconds, self.clock))
        except NotSettled:
            return state
        return await self.reservations.look_up(request)
