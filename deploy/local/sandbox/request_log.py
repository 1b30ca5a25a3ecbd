"""Logs and counts every creation and every request, for tests and benchmarks."""

import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

from deploy.local.sandbox.hospitals import HospitalBody

LOG_ENTRIES = 200_000
ARRIVALS = 4_000_000


class Creation(NamedTuple):
    """One creation; times in seconds. ``outcome``: the caller saw answered, refused, dropped, silent or late."""

    seq: int
    monotonic: float
    wall: float
    hospital_id: int
    creation_batch_id: str | None
    name: str
    outcome: str
    port: int
    idempotency_key: str | None
    traceparent: str | None


class LoggedRequest(NamedTuple):
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
    """The caller's port, and the two headers that identify the row of a call."""

    port: int
    idempotency_key: str | None = None
    traceparent: str | None = None


class RequestLog:
    """Totals and doubles count everything since ``clear``; the two logs keep the newest ``LOG_ENTRIES``."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.clear()

    def clear(self) -> None:
        """Empties the logs and sets the counts to 0. Calls that are under way stay in flight."""
        self._seqs = count(1)
        self.creations: deque[Creation] = deque(maxlen=LOG_ENTRIES)
        self.requests: deque[LoggedRequest] = deque(maxlen=LOG_ENTRIES)
        self.creates = 0
        self._creates_of: dict[HospitalBody, int] = {}
        self._doubled: set[HospitalBody] = set()
        self._statuses: Counter[tuple[str, str, str]] = Counter()
        self._arrivals: array[float] = array("d")
        self.peak_in_flight = self.in_flight

    def begin(self) -> float:
        """Counts a request that has just arrived. Returns its monotonic time, for ``finish``."""
        now = time.monotonic()
        if len(self._arrivals) >= ARRIVALS:
            del self._arrivals[: ARRIVALS // 2]
        self._arrivals.append(now)
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        return now

    def finish(self, arrived: float, method: str, route: str, status: str, port: int) -> None:
        """Logs a request that is over. ``arrived``: what ``begin`` returned."""
        self.in_flight -= 1
        self._statuses[method, route, status] += 1
        took = time.monotonic() - arrived
        seen = LoggedRequest(next(self._seqs), arrived, time.time() - took, method, route, status, port, took * 1000)
        self.requests.append(seen)

    def created(self, hospital_id: int, sent: HospitalBody, outcome: str, caller: Caller) -> None:
        """Logs a creation. ``sent``: the body as it was sent, before any rewriting."""
        self.creates += 1
        times = self._creates_of[sent] = self._creates_of.get(sent, 0) + 1
        if times > 1:
            self._doubled.add(sent)
        now, wall = time.monotonic(), time.time()
        batch = sent.creation_batch_id
        self.creations.append(Creation(next(self._seqs), now, wall, hospital_id, batch, sent.name, outcome, *caller))

    @property
    def doubles_total(self) -> int:
        """How many different bodies were created more than once."""
        return len(self._doubled)

    def doubles(self) -> Iterator[tuple[HospitalBody, int]]:
        """Each body (batch, name, address, phone) that was created more than once, and how often."""
        return ((body, self._creates_of[body]) for body in self._doubled)

    def busiest(self, seconds: float) -> int:
        """The largest number of requests that arrived within any ``seconds``; refused ones count."""
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
    """The largest number of ``arrivals`` (ascending, s) in any half-open window of ``seconds``."""
    most = first = 0
    for last, arrived in enumerate(arrivals):
        while arrivals[first] <= arrived - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
