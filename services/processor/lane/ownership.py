"""Whose a lane is: one state from its takeover to its end. Pure; times are monotonic.

TAKING OVER        no lane yet: `takeover` reads, fences and makes it
WAITING_FOR_LEASE  ours, but the former owner may still be sending
SENDING            ours
HOLDING            a rebalance has begun: nothing new is sent, and nothing is read
ENDED              for a reason; a lane that has ended is never used again

TAKING OVER -> WAITING_FOR_LEASE -> SENDING <-> HOLDING; HOLDING -> WAITING_FOR_LEASE; all of them -> ENDED
"""

from enum import Enum, auto
from typing import Final


class LaneEnd(Enum):
    """Why a lane has ended. It decides what the lane consumer does next."""

    CLOSED = auto()  # handed over, or the processor stops
    FENCED = auto()  # another processor owns it
    INDEFINITE = auto()  # nobody knows whether its last commit happened: take over again
    RECORDS_MISSING = auto()  # rows were deleted before they were processed: stay stopped, readiness says so


class Phase(Enum):
    """Where an ownership stands."""

    WAITING_FOR_LEASE = auto()
    SENDING = auto()
    HOLDING = auto()
    ENDED = auto()


#: Looked up before every call: the name in the enum costs as much as the rest.
SENDING: Final = Phase.SENDING


class Ownership:
    """The ownership of a lane that has been taken over. `sends_from`: when the former owner's lease is over."""

    def __init__(self, sends_from: float) -> None:
        self.end: LaneEnd | None = None
        self._sends_from = sends_from
        self._phase = Phase.WAITING_FOR_LEASE

    def phase(self, now: float) -> Phase:
        """The present state. The wait for a lease ends by itself."""
        if self._phase is Phase.WAITING_FOR_LEASE and now >= self._sends_from:
            self._phase = Phase.SENDING
        return self._phase

    def may_send(self, now: float) -> bool:
        """Whether it is ours alone."""
        return self._phase is SENDING or self.phase(now) is SENDING

    @property
    def reads(self) -> bool:
        """Whether the consumer stands where the lane goes on: not in a rebalance, and not after the end."""
        return self._phase is Phase.SENDING or self._phase is Phase.WAITING_FOR_LEASE

    @property
    def holding(self) -> bool:
        """Whether a rebalance is under way."""
        return self._phase is Phase.HOLDING

    def lease_is_over(self, now: float) -> bool:
        """Whether the former owner sends nothing any more."""
        return now >= self._sends_from

    def hold(self) -> None:
        """A rebalance begins."""
        if self._phase is not Phase.ENDED:
            self._phase = Phase.HOLDING

    def resume(self) -> None:
        """The rebalance left the lane here."""
        if self._phase is Phase.HOLDING:
            self._phase = Phase.WAITING_FOR_LEASE

    def finish(self, why: LaneEnd) -> None:
        """Ends it. The first reason stays."""
        if self.end is None:
            self.end = why
        self._phase = Phase.ENDED
