"""The counts that proofs rest on: every creation, every request, the busiest moment."""

import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

from deploy.local.sandbox.hospitals import HospitalDraft

LOG_ENTRIES = 200_000
ARRIVALS = 4_000_000


class Creation(NamedTuple):
    """One hospital created; times in seconds. ``told``: the caller saw answered, refused, dropped, silent or late."""

    seq: int
    monotonic: float
    wall: float
    hospital_id: int
    creation_batch_id: str | None
    name: str
    told: str
    port: int
    idempotency_key: str | None
    traceparent: str | None


class RequestSeen(NamedTuple):
    """One finished request to /hospitals, at its arrival; ``status`` is the HTTP status, or dropped, or silent."""

    seq: int
    monotonic: float
    wall: float
    method: str
    route: str
    status: str
    port: int
    milliseconds: float


class Caller(NamedTuple):
    """Who asked: remote port and the two headers that tie a call to a row."""

    port: int
    idempotency_key: str | None = None
    traceparent: str | None = None


class Ledger:
    """Totals and doubles are exact for ever; the two logs keep the newest ``LOG_ENTRIES``."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.forget()

    def forget(self) -> None:
        """Starts counting anew. Calls that are under way stay in flight."""
        self._seqs = count(1)
        self.creations: deque[Creation] = deque(maxlen=LOG_ENTRIES)
        self.requests: deque[RequestSeen] = deque(maxlen=LOG_ENTRIES)
        self.creates = 0
        self._creates_of: dict[HospitalDraft, int] = {}
        self._doubled: set[HospitalDraft] = set()
        self._statuses: Counter[tuple[str, str, str]] = Counter()
        self._arrivals: array[float] = array("d")
        self.peak_in_flight = self.in_flight

    def arrive(self) -> float:
        """A request came in. Returns its monotonic time, to be handed to ``leave``."""
        now = time.monotonic()
        if len(self._arrivals) >= ARRIVALS:
            del self._arrivals[: ARRIVALS // 2]
        self._arrivals.append(now)
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        return now

    def leave(self, arrived: float, method: str, route: str, status: str, port: int) -> None:
        """The request that came in at ``arrived`` is over."""
        self.in_flight -= 1
        self._statuses[method, route, status] += 1
        took = time.monotonic() - arrived
        seen = RequestSeen(next(self._seqs), arrived, time.time() - took, method, route, status, port, took * 1000)
        self.requests.append(seen)

    def created(self, hospital_id: int, sent: HospitalDraft, told: str, caller: Caller) -> None:
        """A hospital was created from ``sent``, as it was sent, before any rewriting."""
        self.creates += 1
        times = self._creates_of[sent] = self._creates_of.get(sent, 0) + 1
        if times > 1:
            self._doubled.add(sent)
        now, wall = time.monotonic(), time.time()
        batch = sent.creation_batch_id
        self.creations.append(Creation(next(self._seqs), now, wall, hospital_id, batch, sent.name, told, *caller))

    @property
    def doubles_total(self) -> int:
        """How many different drafts were created more than once."""
        return len(self._doubled)

    def doubles(self) -> Iterator[tuple[HospitalDraft, int]]:
        """What was created more than once (same batch, name, address and phone), with how often."""
        return ((draft, self._creates_of[draft]) for draft in self._doubled)

    def busiest(self, seconds: float) -> int:
        """The most requests that arrived within any ``seconds``, refused ones included."""
        return busiest_window(self._arrivals, seconds)

    def statuses(self) -> list[dict[str, Any]]:
        """``[{method, route, status, count}]``."""
        return [
            {"method": method, "route": route, "status": status, "count": times}
            for (method, route, status), times in sorted(self._statuses.items())
        ]

    def total_requests(self) -> int:
        return self._statuses.total()


def busiest_window(arrivals: Sequence[float], seconds: float) -> int:
    """The most of the (ascending) ``arrivals`` in any half-open window of ``seconds``."""
    most = first = 0
    for last, arrived in enumerate(arrivals):
        while arrivals[first] <= arrived - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
