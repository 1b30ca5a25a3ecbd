"""Whose a lane is: one state from its takeover to its end. Pure; times are monotonic.

TAKING OVER        no lane yet: `takeover` reads, fences and makes it
WAITING_FOR_LEASE  ours, but the former owner may still be sending
SENDING            ours
LEAVING            still ours, but another processor is to have it: a call now and then, until there is a moment without
HOLDING            nothing new is sent, and nothing is read: the last commit comes
ENDED              for a reason; a lane that has ended is never used again

TAKING OVER -> WAITING_FOR_LEASE -> SENDING -> LEAVING -> HOLDING -> ENDED; each step may be left out, none goes back
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
    LEAVING = auto()
    HOLDING = auto()
    ENDED = auto()


#: Looked up before every call: the name in the enum costs as much as the rest.
SENDING: Final = Phase.SENDING

#: A lane that leaves begins a call this often, in seconds. Each may be a slow one, which the hand-over has to wait for;
#: but a lane without any call stands still for as long as its slowest call.
LEAVING_GAP_SECONDS: Final = 1.0


class Ownership:
    """The ownership of a lane that has been taken over. `sends_from`: when the former owner's lease is over."""

    def __init__(self, sends_from: float) -> None:
        self.end: LaneEnd | None = None
        self._sends_from = sends_from
        self._phase = Phase.WAITING_FOR_LEASE
        #: When a lane that leaves may begin its next call.
        self._next_call = 0.0

    def phase(self, now: float) -> Phase:
        """The present state. The wait for a lease ends by itself."""
        if self._phase is Phase.WAITING_FOR_LEASE and now >= self._sends_from:
            self._phase = Phase.SENDING
        return self._phase

    def may_send(self, now: float) -> bool:
        """Whether it is ours alone: calls that have begun may go on."""
        return self._phase is SENDING or self.phase(now) in (SENDING, Phase.LEAVING)

    def may_begin(self, now: float) -> bool:
        """Whether a call may begin."""
        return self._phase is SENDING or (self.may_send(now) and now >= self._next_call)

    def call_begins(self, now: float) -> float:
        """A call begins. Returns how long the next one has to wait, in seconds."""
        if self._phase is not Phase.LEAVING:
            return 0.0
        self._next_call = now + LEAVING_GAP_SECONDS
        return LEAVING_GAP_SECONDS

    @property
    def reads(self) -> bool:
        """Whether the consumer stands where the lane goes on: not when it leaves, and not after the end."""
        return self._phase is Phase.SENDING or self._phase is Phase.WAITING_FOR_LEASE

    @property
    def commits(self) -> bool:
        """Whether it goes on as before: it commits what is done, and renews its permit."""
        return self.reads or self.leaving

    @property
    def leaving(self) -> bool:
        """Whether it waits for a moment without calls, to be handed over then."""
        return self._phase is Phase.LEAVING

    def waits_for_lease(self, now: float) -> bool:
        """Whether it is ours, but the former owner may still be sending."""
        return self.phase(now) is Phase.WAITING_FOR_LEASE

    def lease_is_over(self, now: float) -> bool:
        """Whether the former owner sends nothing any more."""
        return now >= self._sends_from

    def leave(self, now: float) -> None:
        """Another processor is to have it."""
        if self.phase(now) is SENDING:
            self._phase = Phase.LEAVING

    def hold(self) -> None:
        """From now on nothing is sent."""
        if self._phase is not Phase.ENDED:
            self._phase = Phase.HOLDING

    def finish(self, why: LaneEnd) -> None:
        """Ends it. The first reason stays."""
        if self.end is None:
            self.end = why
        self._phase = Phase.ENDED
