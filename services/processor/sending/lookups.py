"""Rows that may have reached the directory though nobody saw an answer: they are looked up before anything else.

A look-up asks for a whole batch, so it is shared by all rows of the batch that are in doubt, over all lanes of this
processor. It answers only for rows whose time had come when it began: before that the directory may still create them.
"""

import heapq
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import structlog

from services.processor import metrics
from services.processor.directory.outcomes import Listed, Listing, LookUpOutcome, Throttled, Unlisted, Withheld
from services.processor.lane.row import Row, State
from services.processor.lane.transitions import Finish, absent
from services.processor.limits.backoff import Backoff
from shared.contract.events import RowErrorCode
from shared.contract.hospital_matching import matching_key

log = structlog.get_logger(__name__)

#: So many look-ups that miss what we know of, one after the other, mean that it will not show again.
MISSING_LOOK_UPS = 10
#: How many of the missing ones a message names.
SHOWN_IDS = 5

#: After a look-up that was not allowed to be sent: a rebalance, or a lease that has ended.
WITHHELD_SECONDS = 0.1


@dataclass(slots=True)
class _Batch:
    """A batch with rows in doubt, and how often its look-up failed. `due` is when the next one may begin."""

    rows: dict[Row, float] = field(default_factory=dict)
    due: float = float("inf")
    setbacks: int = 0
    #: Look-ups in a row that missed a hospital we know of, and when the first of them began.
    misses: int = 0
    missed_since: float = 0.0
    under_way: bool = False
    #: What a look-up that is under way has to show: hospitals that were known when it began.
    known: frozenset[str] = frozenset()

    def wait(self, seconds: float) -> None:
        """No row is looked up earlier than this from now."""
        again = time.monotonic() + seconds
        self.rows = {row: max(at, again) for row, at in self.rows.items()}

    def keep_live(self) -> None:
        """Forgets rows that are not in doubt here any more."""
        self.rows = {row: at for row, at in self.rows.items() if row.lane.end is None and row.state is State.IN_DOUBT}


class Absence(Enum):
    """What it means that a look-up does not show a row; where that is nothing, why."""

    PROVEN = "the hospital is not there"
    LATER = "the directory is behind itself: ask again"
    LOST = "does not show hospitals of the batch any more that it did create ({missing})"
    PAGED = "lists only a part of the batch"
    REWRITTEN = "writes hospitals in its own way"


class InDoubt:
    """All rows in doubt of one processor. `changed` is called when there may be something to look up.

    `patience`, in seconds: how long a look-up may miss a hospital that we know of before its batch is given up.
    """

    def __init__(self, max_attempts: int, backoff: Backoff, changed: Callable[[], None], patience: float) -> None:
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._patience = patience
        self._changed = changed
        self._batches: dict[str, _Batch] = defaultdict(_Batch)
        self._due: list[tuple[float, str]] = []
        #: Hospitals of unfinished batches that we know to exist: a look-up that misses one cannot be trusted.
        self._known: dict[str, set[str]] = {}
        #: Batches whose look-ups for long have not shown all that we know of: they are not asked again and again.
        self._given_up: set[str] = set()
        #: The directory has written a hospital in another way than we sent it: absence proves nothing any more.
        self.rewrites = False

    def add(self, row: Row, look_up_after: float) -> None:
        """The row is in doubt; its look-up may begin at that monotonic time."""
        batch = self._batches[row.event.batch_id]
        if batch.under_way:
            # That one may have been answered before the directory created the row: it says nothing of it.
            look_up_after = max(look_up_after, time.monotonic())
        batch.rows[row] = look_up_after
        if look_up_after < batch.due and not batch.under_way:
            self._schedule(row.event.batch_id, batch, look_up_after)

    def _schedule(self, batch_id: str, batch: _Batch, at: float) -> None:
        batch.due = at
        heapq.heappush(self._due, (at, batch_id))
        self._changed()

    def created(self, row: Row, hospital_id: int | str, *, echoed: bool) -> None:
        """A creation that was answered: what later look-ups of the batch have to show."""
        self._known.setdefault(row.event.batch_id, set()).add(str(hospital_id))
        if not echoed and not self.rewrites:
            self.rewrites = True
            log.warning("directory_rewrites", job_id=row.event.job_id, row=row.event.row, hospital_id=hospital_id)

    def forget_batches(self, unfinished: set[str]) -> None:
        """Batches without unfinished rows here need no memory."""
        for batch_id in [batch_id for batch_id in self._known if batch_id not in unfinished]:
            del self._known[batch_id]
            self._given_up.discard(batch_id)

    def next_due(self) -> float | None:
        """When the next look-up may begin (monotonic), None when there is none."""
        while self._due and not self._holds(*self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def _holds(self, at: float, batch_id: str) -> bool:
        """Whether an entry is the one that counts: each batch has many, since its time changes."""
        batch = self._batches.get(batch_id)
        return batch is not None and not batch.under_way and at == batch.due

    def take(self) -> str | None:
        """The batch to look up now, None when nothing is due. Its answer has to be told."""
        while (due := self.next_due()) is not None and due <= time.monotonic():
            batch_id = heapq.heappop(self._due)[1]
            if self._wanted(batch_id):
                self.begin(batch_id)
                return batch_id
            del self._batches[batch_id]
        return None

    def mildest(self) -> tuple[int, str] | None:
        """Of the batches that may be looked up now the one whose look-up failed least, after how many failures."""
        now = time.monotonic()
        due = [batch_id for batch_id, batch in self._batches.items() if batch.due <= now and self._wanted(batch_id)]
        offers = ((self._batches[batch_id].setbacks, batch_id) for batch_id in due if self.may_look_up(batch_id))
        return min(offers, default=None)

    def begin(self, batch_id: str) -> None:
        """The batch's look-up begins. Its answer has to be told."""
        batch = self._batches[batch_id]
        batch.due, batch.under_way = float("inf"), True
        batch.known = frozenset(self._known.get(batch_id, ()))

    def _wanted(self, batch_id: str) -> bool:
        batch = self._batches[batch_id]
        batch.keep_live()
        return bool(batch.rows)

    def may_look_up(self, batch_id: str) -> bool:
        """Whether a lane that wants to know still has its lease: a replaced processor asks nothing more."""
        now = time.monotonic()
        return any(row.lane.may_send(now) for row in self._batches[batch_id].rows)

    def answered(self, batch_id: str, began: float, outcome: LookUpOutcome) -> None:
        """Tells the rows of a batch what its look-up, begun at that monotonic time, says of them."""
        batch = self._batches[batch_id]
        batch.under_way = False
        if isinstance(outcome, Listed):
            self._settle(batch_id, batch, began, outcome)
        else:
            self._try_again(batch_id, batch, outcome)
        if batch.rows:
            self._schedule(batch_id, batch, min(batch.rows.values()))
        else:
            self._batches.pop(batch_id, None)

    def _try_again(self, batch_id: str, batch: _Batch, outcome: LookUpOutcome) -> None:
        if isinstance(outcome, (Withheld, Throttled)):
            metrics.LOOK_UPS.labels("none").inc()
            batch.wait(WITHHELD_SECONDS)
        else:
            batch.setbacks += 1
            reason = outcome.message if isinstance(outcome, Unlisted) else type(outcome).__name__
            self._postpone(batch_id, batch, self._backoff.seconds(batch.setbacks), reason)

    @staticmethod
    def _postpone(batch_id: str, batch: _Batch, wait: float, reason: str) -> None:
        metrics.LOOK_UPS.labels("none").inc()
        log.warning("look_up_failed", batch_id=batch_id, reason=reason, again_in_seconds=round(wait, 1))
        batch.wait(wait)

    def _settle(self, batch_id: str, batch: _Batch, began: float, listed: Listed) -> None:
        batch.setbacks = 0
        by_likeness: dict[tuple[str, str, str], list[Listing]] = defaultdict(list)
        for hospital in listed.hospitals:
            by_likeness[matching_key(hospital.name, hospital.address, hospital.phone)].append(hospital)
        missing = batch.known - {str(hospital.hospital_id) for hospital in listed.hospitals}
        absence = self._absence(batch_id, batch, began, listed, missing)
        for row in [row for row, at in batch.rows.items() if at <= began]:
            found = by_likeness.get(row.matching_key(), [])
            if found or absence is not Absence.LATER:
                del batch.rows[row]
                if row.lane.end is None and row.state is State.IN_DOUBT:
                    self._settle_row(row, found, absence, missing)
        if absence is Absence.LATER and batch.rows:
            reason = f"hospitals that it created are missing: {_some(missing)}"
            self._postpone(batch_id, batch, self._backoff.seconds(batch.misses), reason)

    def _absence(self, batch_id: str, batch: _Batch, began: float, listed: Listed, missing: frozenset[str]) -> Absence:
        if not listed.whole:
            return Absence.PAGED  # what a page shows is true, what it does not show may be on the next
        if not missing:
            batch.misses = 0
            self._given_up.discard(batch_id)
            return Absence.REWRITTEN if self.rewrites else Absence.PROVEN
        batch.misses += 1
        if batch.misses == 1:
            batch.missed_since = began
        if batch.misses >= MISSING_LOOK_UPS and began - batch.missed_since >= self._patience:
            self._given_up.add(batch_id)
        return Absence.LOST if batch_id in self._given_up else Absence.LATER

    def _settle_row(self, row: Row, found: list[Listing], absence: Absence, missing: frozenset[str]) -> None:
        if row.counts:
            row.attempts += 1
        if found:
            metrics.LOOK_UPS.labels("found").inc()
            if len(found) > 1:
                ids = [hospital.hospital_id for hospital in found]
                log.error("hospital_exists_twice", job_id=row.event.job_id, row=row.event.row, hospital_ids=ids)
            self.created(row, found[0].hospital_id, echoed=True)
            row.lane.finish(row, row.created(found[0].hospital_id, found=True))
        elif absence is Absence.PROVEN:
            metrics.LOOK_UPS.labels("absent").inc()
            self._settle_absent(row)
        else:
            metrics.LOOK_UPS.labels("unclear").inc()
            message = _what_to_look_for(row, absence.value.format(missing=_some(missing)))
            row.lane.finish(row, row.failed(RowErrorCode.OUTCOME_UNKNOWN, message))

    def _settle_absent(self, row: Row) -> None:
        step = absent(row, self._max_attempts)
        counted, row.counts = row.counts, False
        if isinstance(step, Finish):
            row.lane.finish(row, step.result)
        else:
            row.setbacks += counted
            row.lane.again(row, self._backoff.seconds(row.setbacks) if step.trouble else 0.0)


def _some(ids: frozenset[str]) -> str:
    return ", ".join(sorted(ids)[:SHOWN_IDS]) + (", ..." if len(ids) > SHOWN_IDS else "")


def _what_to_look_for(row: Row, reason: str) -> str:
    cause = f" ({row.trouble.message})" if row.trouble else ""
    event = row.event
    return (
        f"The call may have created the hospital{cause}, and the directory {reason}, so it could not be found again. "
        f"Look in the directory for {event.name!r}, {event.address!r} in batch {event.batch_id}, then resolve the row."
    )
