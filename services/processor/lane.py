"""A lane: one partition index of both topics of rows, from takeover to hand-over.

It holds the windows, says which rows may be sent, and commits what has been done. It never calls the directory itself
(`sending` does) and never reads Kafka (`intake` does). All its methods run on the event loop's thread.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum, auto
from itertools import islice
from operator import attrgetter

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from services.processor import metrics
from services.processor.arrival import Arrival, DeadRecord, read_record
from services.processor.commit import CommitIndefinite, LaneFenced, Ledger, OutgoingRecord
from services.processor.notices import Notices
from services.processor.permit import Permit
from services.processor.row import Row, State
from services.processor.settings import ProcessorSettings
from services.processor.takeover import Inheritance, take_over
from services.processor.window import Place, Window
from shared.cloud_events import encode
from shared.events import LaneReport, RowOutcome

log = structlog.get_logger(__name__)

TAKEOVER_RETRY_SECONDS = 1.0
CANCELLED = "The job was cancelled before this row was sent."
SUPERSEDED = "A later round of this row took its place."


class LaneEnd(Enum):
    """Why a lane is over: what its intake does next follows from it."""

    CLOSED = auto()  # handed over, or the processor stops
    FENCED = auto()  # another processor owns it
    INDEFINITE = auto()  # take over again
    LOST = auto()  # records are missing: stay stopped, loudly


class Lane:
    """One lane in one ownership. A lane that is over is never used again: a new one takes over.

    `changed` is called whenever there may be something to send. `doubtful` takes the rows that need a look-up, with
    the earliest monotonic time at which it may be made.
    """

    def __init__(
        self,
        settings: ProcessorSettings,
        partition: int,
        consumer: AIOKafkaConsumer,
        notices: Notices,
        changed: Callable[[], None],
        doubtful: Callable[[Row, float], None],
    ) -> None:
        self.partition = partition
        self.end: LaneEnd | None = None
        self.sought = False
        self._settings = settings
        self._topics = settings.topics.rows
        self._consumer = consumer
        self._notices = notices
        self._changed = changed
        self._doubtful = doubtful
        self._permit = Permit(settings.lease_seconds)
        self._windows: dict[str, Window] = {}
        self._ready: dict[str, deque[Row]] = {topic: deque() for topic in self._topics}
        self._again: dict[str, deque[Row]] = {topic: deque() for topic in self._topics}
        self._rows: dict[tuple[str, int], Row] = {}
        self._unsettled: set[Row] = set()  # in flight or in doubt
        self._outgoing: list[OutgoingRecord] = []
        self._ledger: Ledger | None = None
        self._held = False
        self._not_before = 0.0  # monotonic: the lease of the former owner
        self._look_ups_from = 0.0
        self._last_commit = float("-inf")
        self._committed_offsets: dict[str, int] = {}
        self._sent_since_commit = 0
        self._sent_lately = 0
        self._wake = asyncio.Event()
        self._commit_lock = asyncio.Lock()
        self._drained = asyncio.Event()
        self._in_flight = 0

    # ---- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> LaneEnd:
        """Takes over, then commits whenever there is something to commit, until the lane is over."""
        try:
            await self._take_over()
            while self.end is None:
                await self._wait_until_due()
                if self._something_to_commit():
                    await self._commit()
        except LaneFenced:
            metrics.FENCED.inc()
            self._over(LaneEnd.FENCED)
        except CommitIndefinite as error:
            log.warning("lane_indefinite", partition=self.partition, reason=str(error), next="takeover")
            self._over(LaneEnd.INDEFINITE)
        finally:
            self._over(self.end or LaneEnd.CLOSED)
            if self._ledger is not None:
                await self._ledger.close()
        return self.end or LaneEnd.CLOSED

    async def _take_over(self) -> None:
        while self.end is None:
            try:
                self._inherit(await take_over(self._settings, self._consumer, self.partition))
            except (KafkaError, TimeoutError, OSError) as error:
                log.warning("takeover_failed", partition=self.partition, reason=repr(error), next="again")
                await asyncio.sleep(TAKEOVER_RETRY_SECONDS)
            else:
                return

    def _inherit(self, inheritance: Inheritance) -> None:
        now = time.monotonic()
        self._ledger = inheritance.ledger
        self._windows = {topic: Window(mark) for topic, mark in inheritance.watermarks.items()}
        self._committed_offsets = dict.fromkeys(self._topics, -1)
        wait = 0.0 if inheritance.clean else self._settings.lease_seconds
        self._not_before = now + wait
        self._look_ups_from = now
        if not inheritance.unowned:
            self._look_ups_from += wait + self._settings.hospital_api_timeout
            self._look_ups_from += self._settings.hospital_api_settle_seconds
        if self.end is None:
            self.seek()
        metrics.TAKEOVERS.inc()
        log.info("lane_taken_over", partition=self.partition, clean=inheritance.clean, sends_in_seconds=wait)
        if wait:
            asyncio.get_running_loop().call_later(wait, self._stir)
        self._stir()

    def seek(self) -> None:
        """Points the consumer at the lane's next row: after a takeover, and after a rebalance that left it here."""
        if self._windows and self.end is None:
            for topic, window in self._windows.items():
                self._consumer.seek(TopicPartition(topic, self.partition), window.position)
            self.sought = True

    def _stir(self) -> None:
        self._wake.set()
        self._changed()

    def _over(self, end: LaneEnd) -> None:
        if self.end is None:
            self.end = end
        self._permit.withdraw()
        self._stir()
        self._drained.set()

    # ---- hand-over ---------------------------------------------------------------------------------------------------

    async def hold(self) -> None:
        """Sends nothing more, waits for the calls in flight, and commits that nothing is under way: a clean hand-over.

        The caller bounds the wait. The lane goes on after `resume`.
        """
        self._held = True
        if self.end is not None or not self._windows:
            return
        while self._in_flight:
            self._drained.clear()
            await self._drained.wait()
        try:
            # While a former owner's lease may still run, nobody can say that nothing is sent any more.
            await self._commit(released=time.monotonic() >= self._not_before)
        except LaneFenced:
            self._over(LaneEnd.FENCED)
        except CommitIndefinite:
            self._over(LaneEnd.INDEFINITE)

    def resume(self) -> None:
        """The rebalance left the lane here."""
        self._held = False
        self._last_commit = float("-inf")  # nothing is sent before a commit says that the lane is back
        self.seek()
        self._stir()

    def close(self) -> None:
        """The lane is somebody else's now, or the processor stops."""
        self._over(LaneEnd.CLOSED)

    def lose(self, reason: str) -> None:
        """Records that were never processed are gone from the topic: stop, since going on would hide it."""
        log.error("lane_stopped", partition=self.partition, reason=reason)
        self._over(LaneEnd.LOST)

    # ---- what comes in -----------------------------------------------------------------------------------------------

    @property
    def used(self) -> int:
        """How many delivered rows are held, done or not."""
        return sum(len(window) for window in self._windows.values())

    def has_room(self, topic: str, records: int) -> bool:
        """Whether that many more records of a topic may come. A tenth is kept for express rows."""
        limit = self._settings.window_rows
        return self.used + records <= (limit if topic == self._topics[0] else limit - limit // 10)

    def admit(self, topic: str, records: list[ConsumerRecord], position: int) -> None:
        """Takes delivered records in; `position` is where the consumer stands after them."""
        window = self._windows[topic]
        for record in records:
            if record.offset < window.position:
                continue  # delivered before the rebalance that brought it again
            place = window.admit(record.offset)
            if place is not None:
                self._arrived(read_record(record, place, self))
        before = window.position
        window.moved_to(position)
        if records or window.position != before:
            self._stir()

    def _arrived(self, arrival: Arrival) -> None:
        if isinstance(arrival, DeadRecord):
            self._bury(arrival)
            return
        earlier = self._rows.get(arrival.identity)
        if earlier is None:
            self._begin(arrival)
        elif arrival.event.round < earlier.event.round:
            # The later round's look-up answers for this one too: nothing of either is sent before it.
            self.finish(arrival, arrival.unprocessed(SUPERSEDED))
        elif arrival.event.round <= earlier.latest.event.round:
            log.error("row_came_twice", job_id=arrival.event.job_id, row=arrival.event.row, round=arrival.event.round)
            self._windows[arrival.topic].finish(arrival.place)
        else:
            self._block(arrival, earlier)

    def _block(self, row: Row, earlier: Row) -> None:
        row.state = State.BLOCKED
        if self._windows[row.topic].is_in_doubt(row.place):
            self._unsettled.add(row)
        earlier.latest.successor = row
        self._supersede(earlier)

    def _bury(self, dead: DeadRecord) -> None:
        metrics.DEAD_LETTERS.inc()
        log.error("dead_letter", partition=self.partition, offset=dead.place.offset, reason=dead.reason)
        self._outgoing += dead.records(self._settings.topics)
        self._windows[dead.topic].finish(dead.place)

    def _begin(self, row: Row) -> None:
        """A row whose turn in the lane has come."""
        self._rows[row.identity] = row
        # A former owner may have sent an earlier round of the row just before it was fenced.
        if row.event.round > 1 or self._windows[row.topic].is_in_doubt(row.place):
            self.doubt(row, self._look_ups_from)
        elif self._is_cancelled(row):
            self.finish(row, row.unprocessed(CANCELLED))
        else:
            row.state = State.READY
            self._ready[row.topic].append(row)

    def _supersede(self, row: Row) -> None:
        if row.state in (State.READY, State.WAITING):
            self.finish(row, row.unprocessed(SUPERSEDED))

    def _is_cancelled(self, row: Row) -> bool:
        return row.successor is not None or self._notices.is_cancelled(row.event.job_id, row.event.round)

    def cancel(self, job_id: str) -> None:
        """Rows of a cancelled job that wait here become unprocessed at once, without a call."""
        waiting = (State.READY, State.WAITING)
        for row in [row for row in self._rows.values() if row.event.job_id == job_id]:
            if row.state in waiting and self._is_cancelled(row):
                self.finish(row, row.unprocessed(CANCELLED))

    # ---- what goes out -----------------------------------------------------------------------------------------------

    def may_send(self, now: float) -> bool:
        """Whether the lane may send anything at all."""
        return self.end is None and not self._held and now >= self._not_before and self._permit.holds(now)

    def permits(self, row: Row) -> bool:
        """The last question before the first byte of a row's call."""
        now = time.monotonic()
        return self.may_send(now) and self._permit.allows(row.topic, row.place.offset, now)

    def next_row(self, topic: str) -> Row | None:
        """The first row of a topic that may be sent now; rows that failed before go behind fresh ones."""
        queues = self._ready[topic], self._again[topic]
        if not any(queues) or not self.may_send(now := time.monotonic()):
            return None
        for queue in queues:
            _drop_finished(queue)
            if queue and self._permit.allows(topic, queue[0].place.offset, now):
                return queue[0]
            if queue:
                self._wake.set()  # a commit has to move the horizon
        return None

    def sending(self, row: Row) -> None:
        """A call for the row begins. Its end has to be told by `answered`."""
        row.state = State.IN_FLIGHT
        self._unsettled.add(row)
        self._in_flight += 1
        self._sent_since_commit += 1

    def landed(self) -> None:
        """A call has ended, whatever became of it."""
        self._in_flight -= 1
        if not self._in_flight:
            self._drained.set()

    def doubt(self, row: Row, look_up_after: float) -> None:
        """The row may exist in the directory: it stays below the horizon until a look-up has answered."""
        row.state = State.IN_DOUBT
        self._unsettled.add(row)
        self._doubtful(row, look_up_after)

    def again(self, row: Row, wait: float) -> None:
        """The row is certainly not in the directory and gets another turn after `wait` seconds."""
        self._unsettled.discard(row)
        if self._is_cancelled(row):
            self.finish(row, row.unprocessed(SUPERSEDED if row.successor else CANCELLED))
        elif wait:
            row.state = State.WAITING
            asyncio.get_running_loop().call_later(wait, self._ready_again, row)
        else:
            self._ready_again(row, front=True)

    def _ready_again(self, row: Row, *, front: bool = False) -> None:
        if self.end is None and row.state is not State.DONE:
            row.state = State.READY
            queue = self._again[row.topic]
            (queue.appendleft if front else queue.append)(row)
            self._changed()

    def finish(self, row: Row, result: RowOutcome) -> None:
        """The row has its result: it goes out with the next commit."""
        if self.end is not None:
            return
        row.state = State.DONE
        self._unsettled.discard(row)
        if self._rows.get(row.identity) is row:
            del self._rows[row.identity]
        record = encode(result, "processor", row.traceparent)
        self._outgoing.append((self._settings.topics.results, record.key, record.value, record.headers))
        self._windows[row.topic].finish(row.place)
        metrics.results(type(result).__name__).inc()
        log.debug("row_finished", job_id=row.event.job_id, row=row.event.row, result=type(result).__name__)
        if row.successor is not None:
            self._begin(row.successor)
        self._wake.set()

    # ---- commits -----------------------------------------------------------------------------------------------------

    async def _wait_until_due(self) -> None:
        try:
            async with asyncio.timeout(self._settings.lease_seconds / 3):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
        since = time.monotonic() - self._last_commit
        await asyncio.sleep(max(self._settings.commit_interval_ms / 1000 - since, 0))

    def _something_to_commit(self) -> bool:
        if self._held or self.end is not None or not self._windows:
            return False
        if self._outgoing or self._offsets() != self._committed_offsets:
            return True
        if time.monotonic() - self._last_commit > self._settings.lease_seconds / 3:
            return any(window.unfinished for window in self._windows.values())
        return any(self._needs_permit(topic) for topic in self._topics)

    def _offsets(self) -> dict[str, int]:
        return {topic: window.offset for topic, window in self._windows.items()}

    def _needs_permit(self, topic: str) -> bool:
        place = self._last_to_permit(topic)
        return place is not None and place.offset >= self._permit.horizon(topic)

    def _last_to_permit(self, topic: str) -> Place | None:
        """The last of the rows that may be sent before the next commit."""
        reach = self._reach()
        _drop_finished(self._ready[topic])
        places = [row.place for row in islice(self._again[topic], reach)]
        if ready := self._ready[topic]:
            places.append(ready[min(reach, len(ready)) - 1].place)
        return max(places, key=attrgetter("offset"), default=None)

    def _reach(self) -> int:
        """How many rows may be sent before the next commit: what the horizon has to cover."""
        rate = self._settings.rate_per_second
        interval = self._settings.commit_interval_ms / 1000
        lately = 2 * self._sent_lately if rate is None else int(rate * interval) + 1
        return self._settings.hospital_api_max_connections + lately

    async def _commit(self, *, released: bool = False) -> None:
        async with self._commit_lock:
            if self._ledger is None or self.end is not None:
                return
            outgoing, self._outgoing = self._outgoing, []
            self._sent_lately, self._sent_since_commit = self._sent_since_commit, 0
            self._draw_horizons(released=released)
            marks = {topic: window.watermark(released=released) for topic, window in self._windows.items()}
            self._last_commit = time.monotonic()
            if released:
                self._permit.withdraw()  # nothing is sent after it began, also when the lane stays here
            else:
                self._permit.commit_begins(self._last_commit, marks)
            await self._ledger.commit(outgoing, marks)
            self._permit.committed()
            self._committed_offsets = {topic: mark.offset for topic, mark in marks.items()}
        self._stir()

    def _draw_horizons(self, *, released: bool) -> None:
        for topic, window in self._windows.items():
            last = None if released else self._last_to_permit(topic)
            if released or not window.unfinished:
                window.settle_horizon(row.place for row in self._unsettled if row.topic == topic)
            elif last is not None:
                window.extend_horizon(last)

    # ---- what can be seen of it --------------------------------------------------------------------------------------

    @property
    def owns_slots(self) -> bool:
        """Whether the lane's slots of the pace are ours: not while a former or the next owner may be using them."""
        ours = self.end is None and not self._held and bool(self._windows)
        return ours and time.monotonic() >= self._not_before

    def report(self, end_offsets: dict[str, int]) -> LaneReport:
        """The lane as an engineer wants to see it; `end_offsets` by topic."""
        now = time.time()
        oldest = min((row.received_at for row in self._rows.values()), default=now)
        lags = {topic: max(end_offsets.get(topic, 0) - window.offset, 0) for topic, window in self._windows.items()}
        return LaneReport(
            partition=self.partition,
            in_flight=self._in_flight,
            waiting=len(self._rows) - self._in_flight,
            window_used=self.used,
            lag_rows=sum(lags.values()),
            lag_express_rows=lags.get(self._topics[0], 0),
            lag_seconds=round(max(now - oldest, 0.0), 1),
        )

    def unfinished_rows(self) -> Iterator[Row]:
        """The rows without a result."""
        return iter(self._rows.values())


def _drop_finished(queue: deque[Row]) -> None:
    """Takes cancelled rows, and those that are elsewhere by now, from the front."""
    while queue and queue[0].state is not State.READY:
        queue.popleft()
