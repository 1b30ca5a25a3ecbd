"""A lane: one partition index of both topics of rows, from takeover to hand-over.

It holds the windows, says which rows may be sent, and commits what has been done. It never calls the directory itself
(`sending` does) and never reads Kafka (`intake` does). All its methods run on the event loop's thread.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from enum import Enum, auto

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from services.processor import metrics
from services.processor.job_commands import Notices
from services.processor.lane.commit_schedule import Cadence, Reach
from services.processor.lane.records import Arrival, DeadRecord, read_record
from services.processor.lane.rounds import Rounds, Turn
from services.processor.lane.row import Row, State
from services.processor.lane.row_queue import WaitingRows
from services.processor.lane.send_permit import Permit
from services.processor.lane.takeover import Inheritance, take_over
from services.processor.lane.transactions import CommitIndefinite, LaneFenced, LaneTransactions, OutgoingRecord
from services.processor.offsets.lane_offsets import Progress
from services.processor.offsets.watermark import Watermark
from services.processor.settings import ProcessorSettings
from shared.contract.cloud_events import encode
from shared.contract.events import LaneReport, RowOutcome

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
        self._results = settings.topics.results
        self._consumer = consumer
        self._notices = notices
        self._changed = changed
        self._doubtful = doubtful
        self._permit = Permit(settings.lease_seconds)
        self._cadence = Cadence(settings.commit_interval_ms / 1000, settings.lease_seconds)
        self._reach = Reach(settings.hospital_api_max_connections, settings.rate_per_second, self._cadence.longest_gap)
        self._progress = Progress({})  # none before the takeover
        self._waiting = WaitingRows(self._topics)
        self._rounds = Rounds()
        self._outgoing: list[OutgoingRecord] = []
        self._transactions: LaneTransactions | None = None
        self._held = False
        self._not_before = 0.0  # monotonic: the lease of the former owner
        self._look_ups_from = 0.0
        self._committed_offsets: dict[str, int] = {}
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
            if self._transactions is not None:
                await self._transactions.close()
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
        self._transactions = inheritance.transactions
        self._progress = Progress(inheritance.watermarks)
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
        if self._transactions is not None and self.end is None:
            for topic, position in self._progress.positions.items():
                self._consumer.seek(TopicPartition(topic, self.partition), position)
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
        if self.end is not None or self._transactions is None:
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
        self._cadence.forget()  # nothing is sent before a commit says that the lane is back
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
        return self._progress.used

    def has_room(self, topic: str, records: int) -> bool:
        """Whether that many more records of a topic may come. A tenth is kept for express rows."""
        limit = self._settings.window_rows
        return self.used + records <= (limit if topic == self._topics[0] else limit - limit // 10)

    def admit(self, topic: str, records: list[ConsumerRecord], position: int) -> None:
        """Takes delivered records in; `position` is where the consumer stands after them."""
        window = self._progress.window(topic)
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
        match self._rounds.turn_of(arrival):
            case Turn.NOW:
                self._begin(arrival)
            case Turn.AFTER:
                self._block(arrival)
            case Turn.TOO_LATE:
                # The later round's look-up answers for this one too: nothing of either is sent before it.
                self.finish(arrival, arrival.unprocessed(SUPERSEDED))
            case Turn.TWICE:
                event = arrival.event
                log.error("row_came_twice", job_id=event.job_id, row=event.row, round=event.round)
                self._progress.finish(arrival)

    def _block(self, row: Row) -> None:
        row.state = State.BLOCKED
        if self._progress.is_in_doubt(row):
            self._progress.unsettle(row)
        self._supersede(self._rounds.wait(row))

    def _bury(self, dead: DeadRecord) -> None:
        metrics.DEAD_LETTERS.inc()
        log.error("dead_letter", partition=self.partition, offset=dead.place.offset, reason=dead.reason)
        self._outgoing += dead.records(self._settings.topics)
        self._progress.window(dead.topic).finish(dead.place)

    def _begin(self, row: Row) -> None:
        """A row whose turn in the lane has come."""
        self._rounds.begin(row)
        # A former owner may have sent an earlier round of the row just before it was fenced.
        if row.event.round > 1 or self._progress.is_in_doubt(row):
            self.doubt(row, self._look_ups_from)
        elif self._is_cancelled(row):
            self.finish(row, row.unprocessed(CANCELLED))
        else:
            self._waiting.append(row)

    def _supersede(self, row: Row) -> None:
        if row.state in (State.READY, State.WAITING):
            self.finish(row, row.unprocessed(SUPERSEDED))

    def _is_cancelled(self, row: Row) -> bool:
        return row.successor is not None or self._notices.is_cancelled(row.event.job_id, row.event.round)

    def cancel(self, job_id: str) -> None:
        """Rows of a cancelled job that wait here become unprocessed at once, without a call."""
        for row in self._rounds.of_job(job_id):
            if row.state in (State.READY, State.WAITING) and self._is_cancelled(row):
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
        if not self._waiting.any(topic) or not self.may_send(now := time.monotonic()):
            return None
        for row in self._waiting.first(topic):
            if self._permit.allows(topic, row.place.offset, now):
                return row
            self._wake.set()  # a commit has to move the horizon
        return None

    def sending(self, row: Row) -> None:
        """A call for the row begins. Its end has to be told by `landed`."""
        self._waiting.take(row)
        row.state = State.IN_FLIGHT
        self._progress.unsettle(row)
        self._in_flight += 1
        self._reach.sent()

    def landed(self) -> None:
        """A call has ended, whatever became of it."""
        self._in_flight -= 1
        if not self._in_flight:
            self._drained.set()

    def doubt(self, row: Row, look_up_after: float) -> None:
        """The row may exist in the directory: it stays below the horizon until a look-up has answered."""
        row.state = State.IN_DOUBT
        self._progress.unsettle(row)
        self._doubtful(row, look_up_after)

    def again(self, row: Row, wait: float) -> None:
        """The row is certainly not in the directory and gets another turn after `wait` seconds."""
        self._progress.settle(row)
        if self._is_cancelled(row):
            self.finish(row, row.unprocessed(SUPERSEDED if row.successor else CANCELLED))
        elif wait:
            row.state = State.WAITING
            asyncio.get_running_loop().call_later(wait, self._ready_again, row)
        else:
            self._ready_again(row, front=True)

    def _ready_again(self, row: Row, *, front: bool = False) -> None:
        if self.end is None and row.state is not State.DONE:
            self._waiting.append_again(row, front=front)
            self._changed()

    def finish(self, row: Row, result: RowOutcome) -> None:
        """The row has its result: it goes out with the next commit."""
        if self.end is not None:
            return
        row.state = State.DONE
        self._rounds.end(row)
        record = encode(result, "processor", row.traceparent)
        self._outgoing.append((self._results, record.key, record.value, record.headers))
        self._progress.finish(row)
        metrics.results(type(result).__name__).inc()
        log.debug("row_finished", job_id=row.event.job_id, row=row.event.row, result=type(result).__name__)
        if row.successor is not None:
            self._begin(row.successor)
        self._wake.set()

    # ---- commits -----------------------------------------------------------------------------------------------------

    async def _wait_until_due(self) -> None:
        working = self._progress.has_work and not self._held
        try:
            async with asyncio.timeout(self._cadence.renewal(time.monotonic()) if working else None):
                await self._wake.wait()
        except TimeoutError:
            return  # with work the permit has to be renewed, whatever else there is to say
        self._wake.clear()
        await asyncio.sleep(self._cadence.pause(time.monotonic()))

    def _something_to_commit(self) -> bool:
        if self._held or self.end is not None or self._transactions is None:
            return False
        if self._outgoing or self._progress.offsets != self._committed_offsets:
            return True
        if not self._cadence.renewal(time.monotonic()):
            return self._progress.has_work
        return any(self._needs_permit(topic) for topic in self._topics)

    def _needs_permit(self, topic: str) -> bool:
        place = self._waiting.last_within(topic, self._reach.rows)
        return place is not None and place.offset >= self._permit.horizon(topic)

    async def _commit(self, *, released: bool = False) -> None:
        async with self._commit_lock:
            if self._transactions is None or self.end is not None:
                return
            outgoing, self._outgoing = self._outgoing, []
            marks = self._watermarks(released=released)
            began = time.monotonic()
            self._cadence.begins(began)
            if released:
                self._permit.withdraw()  # nothing is sent after it began, also when the lane stays here
            else:
                self._permit.commit_begins(began, marks)
            await self._transactions.commit(outgoing, marks)
            self._cadence.ends(time.monotonic())
            self._permit.committed()
            self._committed_offsets = {topic: mark.offset for topic, mark in marks.items()}
        self._stir()

    def _watermarks(self, *, released: bool) -> dict[str, Watermark]:
        self._reach.commit_begins()
        for topic in self._topics:
            if released:
                self._progress.draw_in(topic)
            else:
                self._progress.reach_to(topic, self._waiting.last_within(topic, self._reach.rows))
        return self._progress.watermarks(released=released)

    # ---- what can be seen of it --------------------------------------------------------------------------------------

    @property
    def owns_slots(self) -> bool:
        """Whether the lane's slots of the pace are ours: not while a former or the next owner may be using them."""
        ours = self.end is None and not self._held and self._transactions is not None
        return ours and time.monotonic() >= self._not_before

    def report(self, end_offsets: dict[str, int]) -> LaneReport:
        """The lane as an engineer wants to see it; `end_offsets` by topic."""
        now = time.time()
        oldest = min((row.received_at for row in self._rounds), default=now)
        offsets = self._progress.offsets
        lags = {topic: max(end_offsets.get(topic, 0) - offset, 0) for topic, offset in offsets.items()}
        return LaneReport(
            partition=self.partition,
            in_flight=self._in_flight,
            waiting=len(self._rounds) - self._in_flight,
            window_used=self.used,
            lag_rows=sum(lags.values()),
            lag_express_rows=lags.get(self._topics[0], 0),
            lag_seconds=round(max(now - oldest, 0.0), 1),
        )

    def unfinished_rows(self) -> Iterator[Row]:
        """The rows without a result."""
        return iter(self._rounds)
