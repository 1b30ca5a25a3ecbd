"""The rows in doubt: they may have reached the directory, so a look-up has to tell before anything else is done.

A look-up asks for a whole batch. All rows in doubt of the batch share it, over all lanes of this processor. It tells
nothing of rows whose time had not come when it began: the directory may still be about to create those.
"""

import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import structlog

from services.processor import metrics
from services.processor.directory.outcomes import Listed, Listing, LookupFailed, LookUpOutcome, NotSent, Throttled
from services.processor.lane.row import Row, State
from services.processor.lane.transitions import Absent, AttemptRules, Found, LookUpAnswer, Unclear, after_lookup
from services.processor.sending.absence import Absence, shown_ids, unknown_outcome_message
from services.processor.sending.batch_in_doubt import NEVER, BatchInDoubt, DoubtCount, Owner
from shared.contract.hospital_matching import matching_key

log = structlog.get_logger(__name__)

#: After so many look-ups in a row without a hospital that was created, the batch may be given up.
MISSING_LOOK_UPS = 10
#: The wait after a look-up that was not sent, because of a rebalance or of a lease that has ended.
NOT_SENT_SECONDS = 0.1


class LookupQueue:
    """The rows in doubt of one processor, by batch. `notify` is called when there may be something to look up.

    `give_up_seconds`: if look-ups do not show a hospital that was created for so long, the batch is given up. Its rows
    in doubt then fail with `outcome_unknown`.
    """

    def __init__(
        self,
        rules: AttemptRules,
        notify: Callable[[], None],
        give_up_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._give_up_seconds = give_up_seconds
        self._notify = notify
        self._clock = clock
        self._batches: dict[str, BatchInDoubt] = defaultdict(BatchInDoubt)
        #: Batches whose time has not come, by when it does. An entry counts while it names the batch's `due`.
        self._due: list[tuple[float, str]] = []
        #: Those whose time has come: how many look-ups in a row have failed, since when, and the batch.
        self._ready: list[tuple[int, float, str]] = []
        #: Ids of the hospitals known to exist, by batch. A look-up that does not show all of them proves nothing.
        self._known: dict[str, set[str]] = {}
        #: Batches that were given up: their look-ups have not shown all known hospitals for too long.
        self._given_up: set[str] = set()
        #: Batches in which the directory has changed a hospital's fields. Matching may fail: absence proves nothing.
        self._rewritten: set[str] = set()

    def add(self, owner: Owner, row: Row, look_up_after: float) -> None:
        """Takes a row in doubt of a lane. `look_up_after`: when its look-up may begin (monotonic)."""
        batch = self._batches[row.event.batch_id]
        if batch.under_way:
            # The look-up under way may have been answered before the directory created this row.
            look_up_after = max(look_up_after, self._clock())
        batch.add(owner, row, look_up_after)
        if look_up_after < batch.due and not batch.under_way:
            self._schedule(row.event.batch_id, batch, look_up_after)

    def _schedule(self, batch_id: str, batch: BatchInDoubt, at: float) -> None:
        batch.due = at
        heapq.heappush(self._due, (at, batch_id))
        self._notify()

    def remember_created(self, row: Row, hospital_id: int | str, *, echoed: bool) -> None:
        """Remembers a hospital that later look-ups of its batch have to show. `echoed` as in `Created`."""
        batch_id = row.event.batch_id
        self._known.setdefault(batch_id, set()).add(str(hospital_id))
        if not echoed and batch_id not in self._rewritten:
            self._rewritten.add(batch_id)
            log.warning("directory_rewrites", job_id=row.event.job_id, row=row.event.row, hospital_id=hospital_id)

    def rewrites(self, batch_id: str) -> bool:
        """Whether the directory has changed the fields of a hospital of the batch."""
        return batch_id in self._rewritten

    def forget_batches(self, unfinished: set[str]) -> None:
        """Forgets what is known of batches, except of those with unfinished rows here, and rows of ended lanes."""
        for batch in self._batches.values():
            batch.drop_settled()
        for batch_id in [batch_id for batch_id in self._known if batch_id not in unfinished]:
            del self._known[batch_id]
            self._given_up.discard(batch_id)
            self._rewritten.discard(batch_id)

    def counts(self) -> Iterator[DoubtCount]:
        """How many rows are in doubt, for each batch that has any."""
        return (count for batch in self._batches.values() if (count := batch.count()) is not None)

    def next_due(self) -> float | None:
        """When the time of the next batch comes (monotonic), None when there is none whose time has not come."""
        self._collect_due()
        while self._due:
            at, batch_id = self._due[0]
            if batch_id in self._batches and self._batches[batch_id].due == at:
                return at
            heapq.heappop(self._due)
        return None

    def least_failed(self) -> tuple[int, str] | None:
        """Of the batches to look up now the one with the fewest failures in a row, as (failures, id): `begin` it."""
        if self._due:
            self._collect_due()
        while self._ready:
            failures, at, batch_id = self._ready[0]
            batch = self._batches.get(batch_id)
            if batch is not None and batch.due == at:
                if self.may_look_up(batch_id):
                    return failures, batch_id
                self._schedule(batch_id, batch, self._clock() + NOT_SENT_SECONDS)
            heapq.heappop(self._ready)
        return None

    def _collect_due(self) -> None:
        """Makes batches ready whose time has come. Those whose lanes may not send are asked for again a little later.

        A lane's lease may have ended, and without a pause the sender would ask without end.
        """
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            at, batch_id = heapq.heappop(self._due)
            batch = self._batches.get(batch_id)
            if batch is None or batch.due != at:
                continue
            batch.drop_settled()
            if not batch.rows:
                del self._batches[batch_id]
            elif self.may_look_up(batch_id):
                heapq.heappush(self._ready, (batch.backoff_count, at, batch_id))
            else:
                self._schedule(batch_id, batch, now + NOT_SENT_SECONDS)

    def begin(self, batch_id: str) -> None:
        """The batch's look-up begins. Hand its outcome to `record_outcome`."""
        batch = self._batches[batch_id]
        batch.due, batch.under_way = NEVER, True
        batch.known = frozenset(self._known.get(batch_id, ()))

    def may_look_up(self, batch_id: str) -> bool:
        """Whether any lane with a row in the batch may send: a replaced processor asks nothing more."""
        now = self._clock()
        return any(doubt.owner.may_send(now) for doubt in self._batches[batch_id].rows.values())

    def record_outcome(self, batch_id: str, began: float, outcome: LookUpOutcome) -> None:
        """Applies the outcome of a batch's look-up to its rows. `began`: when it began (monotonic)."""
        batch = self._batches[batch_id]
        batch.under_way = False
        if isinstance(outcome, Listed):
            self._apply_listing(batch_id, batch, began, outcome)
        else:
            self._try_again(batch_id, batch, outcome)
        if batch.rows:
            self._schedule(batch_id, batch, min(doubt.at for doubt in batch.rows.values()))
        else:
            self._batches.pop(batch_id, None)

    def _try_again(self, batch_id: str, batch: BatchInDoubt, outcome: LookUpOutcome) -> None:
        if isinstance(outcome, (NotSent, Throttled)):
            metrics.LOOK_UPS.labels("none").inc()
            batch.postpone(self._clock() + NOT_SENT_SECONDS)
        else:
            batch.backoff_count += 1
            reason = outcome.message if isinstance(outcome, LookupFailed) else type(outcome).__name__
            self._postpone(batch_id, batch, self._rules.backoff(batch.backoff_count), reason)

    def _postpone(self, batch_id: str, batch: BatchInDoubt, wait: float, reason: str) -> None:
        metrics.LOOK_UPS.labels("none").inc()
        log.warning("look_up_failed", batch_id=batch_id, reason=reason, again_in_seconds=round(wait, 1))
        batch.postpone(self._clock() + wait)

    def _apply_listing(self, batch_id: str, batch: BatchInDoubt, began: float, listed: Listed) -> None:
        batch.backoff_count = 0
        by_key: dict[tuple[str, str, str], list[Listing]] = defaultdict(list)
        for hospital in listed.hospitals:
            by_key[matching_key(hospital.name, hospital.address, hospital.phone)].append(hospital)
        missing = batch.known - {str(hospital.hospital_id) for hospital in listed.hospitals}
        absence = self._absence(batch_id, batch, began, listed, missing)
        for row, doubt in [(row, doubt) for row, doubt in batch.rows.items() if doubt.at <= began]:
            found = by_key.get(row.matching_key(), [])
            if found or absence is not Absence.LATER:
                del batch.rows[row]
                if not doubt.owner.ended and row.state is State.IN_DOUBT:
                    answer = self._answer(row, found, absence, missing)
                    doubt.owner.apply(row, *after_lookup(row, answer, self._rules))
        if absence is Absence.LATER and batch.rows:
            reason = f"hospitals that it created are missing: {shown_ids(missing)}"
            self._postpone(batch_id, batch, self._rules.backoff(batch.misses), reason)

    def _absence(
        self, batch_id: str, batch: BatchInDoubt, began: float, listed: Listed, missing: frozenset[str]
    ) -> Absence:
        if not listed.whole:
            return Absence.PAGED  # what this page does not show may be on the next one
        if not missing:
            batch.misses = 0
            self._given_up.discard(batch_id)
            return Absence.REWRITTEN if self.rewrites(batch_id) else Absence.PROVEN
        batch.misses += 1
        if batch.misses == 1:
            batch.missed_since = began
        if batch.misses >= MISSING_LOOK_UPS and began - batch.missed_since >= self._give_up_seconds:
            self._given_up.add(batch_id)
        return Absence.LOST if batch_id in self._given_up else Absence.LATER

    def _answer(self, row: Row, found: list[Listing], absence: Absence, missing: frozenset[str]) -> LookUpAnswer:
        if found:
            metrics.LOOK_UPS.labels("found").inc()
            if len(found) > 1:
                ids = [hospital.hospital_id for hospital in found]
                log.error("hospital_exists_twice", job_id=row.event.job_id, row=row.event.row, hospital_ids=ids)
            self.remember_created(row, found[0].hospital_id, echoed=True)
            return Found(found[0].hospital_id)
        if absence is Absence.PROVEN:
            metrics.LOOK_UPS.labels("absent").inc()
            return Absent()
        metrics.LOOK_UPS.labels("unclear").inc()
        return Unclear(unknown_outcome_message(row, absence, missing))
