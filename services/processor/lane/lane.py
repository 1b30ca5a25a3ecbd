"""A lane: one partition index of both topics of rows, from takeover to hand-over.

It holds the windows, says which rows may be sent, and commits what has been done. It never calls the directory
(`sending` does) and never polls Kafka (`lane_consumer` does). All its methods run on the event loop's thread.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from enum import Enum, auto

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from services.processor import metrics
from services.processor.job_commands import JobCommands
from services.processor.lane.commit_schedule import CommitSchedule, SendAhead
from services.processor.lane.records import DeadRecord, Delivered, read_record
from services.processor.lane.rounds import RoundOrder, Rounds
from services.processor.lane.row import Row, State
from services.processor.lane.row_queue import RowQueue
from services.processor.lane.send_permit import SendPermit
from services.processor.lane.takeover import Takeover, take_over
from services.processor.lane.transactions import LaneFenced, LaneTransactions
from services.processor.offsets.lane_offsets import LaneOffsets
from services.processor.offsets.watermark import Watermark
from services.processor.settings import ProcessorSettings
from shared.contract.cloud_events import encode
from shared.contract.events import LaneReport, RowOutcome
from shared.runtime.fenced_transactions import CommitIndefinite, OutgoingRecord

log = structlog.get_logger(__name__)

TAKEOVER_RETRY_SECONDS = 1.0
MakeTransactions = Callable[[ProcessorSettings, int, Callable[[], float]], LaneTransactions]

CANCELLED = "The job was cancelled before this row was sent."
SUPERSEDED = "A later round of this row took its place."


class LaneEnd(Enum):
    """Why a lane has ended. It decides what the lane consumer does next."""

    CLOSED = auto()  # handed over, or the processor stops
    FENCED = auto()  # another processor owns it
    INDEFINITE = auto()  # nobody knows whether its last commit happened: take over again
    RECORDS_MISSING = auto()  # rows were deleted before they were processed: stay stopped, readiness says so


class Lane:
    """One ownership of a lane. A lane that has ended is never used again: a new one takes over.

    `notify` is called whenever there may be something to send. `on_doubt` takes each row that needs a look-up, with
    the earliest time at which it may be made. All times are of `clock` (monotonic, in seconds), except in `report`.
    """

    def __init__(
        self,
        settings: ProcessorSettings,
        partition: int,
        consumer: AIOKafkaConsumer,
        job_commands: JobCommands,
        notify: Callable[[], None],
        on_doubt: Callable[[Row, float], None],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        make_transactions: MakeTransactions = LaneTransactions,
    ) -> None:
        self.partition = partition
        self.end: LaneEnd | None = None
        self.sought = False
        self._settings = settings
        self._topics = settings.topics.rows
        self._results = settings.topics.results
        self._consumer = consumer
        self._job_commands = job_commands
        self._notify_sender = notify
        self._on_doubt = on_doubt
        self._clock = clock
        self._wall_clock = wall_clock
        self._make_transactions = make_transactions
        self._permit = SendPermit(settings.lease_seconds)
        self._schedule = CommitSchedule(settings.commit_interval_ms / 1000, settings.lease_seconds)
        self._send_ahead = SendAhead(
            settings.hospital_api_max_connections, settings.rate_per_second, self._schedule.longest_gap
        )
        self._offsets = LaneOffsets({})  # none before the takeover
        self._queue = RowQueue(self._topics)
        self._rounds = Rounds()
        self._outgoing: list[OutgoingRecord] = []
        self._transactions: LaneTransactions | None = None
        self._draining = False
        self._not_before = 0.0  # monotonic: when the former owner's lease has ended
        self._look_ups_from = 0.0  # monotonic: when nothing that the former owner sent can still be created
        self._committed_offsets: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._commit_lock = asyncio.Lock()
        self._drained = asyncio.Event()
        self._in_flight = 0

    # ---- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> LaneEnd:
        """Takes over, then commits whenever there is something to commit, until the lane ends. Returns why."""
        try:
            await self._take_over()
            while self.end is None:
                await self._wait_until_due()
                if self._something_to_commit():
                    await self._commit()
        except LaneFenced:
            metrics.FENCED.inc()
        except CommitIndefinite as error:
            log.warning("lane_indefinite", partition=self.partition, reason=str(error), next="takeover")
        finally:
            self._finish_lane(self.end or LaneEnd.CLOSED)
            if self._transactions is not None:
                await self._transactions.close()
        return self.end or LaneEnd.CLOSED

    async def _take_over(self) -> None:
        while self.end is None:
            transactions = self._make_transactions(self._settings, self.partition, self._clock)
            try:
                self._start(await take_over(self._settings, self._consumer, self.partition, transactions))
            except (KafkaError, TimeoutError, OSError) as error:
                self._transactions = None
                await transactions.close()  # a seek may fail after it was opened
                log.warning("takeover_failed", partition=self.partition, reason=repr(error), next="again")
                await asyncio.sleep(TAKEOVER_RETRY_SECONDS)
            else:
                return

    def _start(self, takeover: Takeover) -> None:
        now = self._clock()
        self._transactions = takeover.transactions
        self._offsets = LaneOffsets(takeover.watermarks)
        self._committed_offsets = dict.fromkeys(self._topics, -1)
        wait = 0.0 if takeover.clean else self._settings.lease_seconds
        self._not_before = now + wait
        self._look_ups_from = now
        if not takeover.unowned:
            self._look_ups_from += wait + self._settings.hospital_api_timeout
            self._look_ups_from += self._settings.hospital_api_settle_seconds
        if self.end is None:
            self.seek()
        metrics.TAKEOVERS.inc()
        log.info("lane_taken_over", partition=self.partition, clean=takeover.clean, sends_in_seconds=wait)
        if wait:
            asyncio.get_running_loop().call_later(wait, self._notify)
        self._notify()

    def seek(self) -> None:
        """Points the consumer at the lane's next row: after a takeover, and after a rebalance that left it here."""
        if self._transactions is not None and self.end is None:
            for topic, position in self._offsets.positions.items():
                self._consumer.seek(TopicPartition(topic, self.partition), position)
            self.sought = True

    def _notify(self) -> None:
        """Wakes the lane's own loop and the sender."""
        self._wake.set()
        self._notify_sender()

    def _finish_lane(self, end: LaneEnd) -> None:
        if self.end is None:
            self.end = end
        self._permit.withdraw()
        self._notify()
        self._drained.set()

    # ---- hand-over ---------------------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Sends nothing more, waits for the calls in flight, and commits that nothing is under way: a clean hand-over.

        The caller bounds the wait. The lane goes on after `resume`.
        """
        self._draining = True
        if self.end is not None or self._transactions is None:
            return
        while self._in_flight:
            self._drained.clear()
            await self._drained.wait()
        with contextlib.suppress(LaneFenced, CommitIndefinite):  # the commit has ended the lane
            # While a former owner's lease may still run, that owner may be sending.
            await self._commit(released=self._clock() >= self._not_before)

    def resume(self) -> None:
        """Goes on after `drain`: the rebalance left the lane here."""
        self._draining = False
        self._schedule.make_due()  # nothing is sent before a commit without `released`
        self.seek()
        self._notify()

    def close(self) -> None:
        """Ends the lane: another processor gets it, or this one stops."""
        self._finish_lane(LaneEnd.CLOSED)

    def stop(self, reason: str) -> None:
        """Ends the lane because rows were deleted before they were processed. Going on would hide that."""
        log.error("lane_stopped", partition=self.partition, reason=reason)
        self._finish_lane(LaneEnd.RECORDS_MISSING)

    # ---- what comes in -----------------------------------------------------------------------------------------------

    @property
    def used(self) -> int:
        """How many delivered rows the windows hold, done or not."""
        return self._offsets.used

    def has_room(self, topic: str, records: int) -> bool:
        """Whether so many more records of a topic fit. A tenth of the window is kept for express rows."""
        limit = self._settings.window_rows
        return self.used + records <= (limit if topic == self._topics[0] else limit - limit // 10)

    def admit(self, topic: str, records: list[ConsumerRecord], position: int) -> None:
        """Takes delivered records in. `position`: the consumer's position after them."""
        window = self._offsets.window(topic)
        for record in records:
            if record.offset < window.position:
                continue  # delivered before a rebalance, and now once more
            place = window.admit(record.offset)
            if place is not None:
                self._deliver(read_record(record, place, self))
        before = window.position
        window.moved_to(position)
        if records or window.position != before:
            self._notify()

    def _deliver(self, delivered: Delivered) -> None:
        if isinstance(delivered, DeadRecord):
            self._dead_letter(delivered)
            return
        match self._rounds.order_of(delivered):
            case RoundOrder.NOW:
                self._begin(delivered)
            case RoundOrder.AFTER:
                self._block(delivered)
            case RoundOrder.TOO_LATE:
                # The later round is looked up before it is sent, and its look-up answers for this one too.
                self.finish(delivered, delivered.unprocessed(SUPERSEDED))
            case RoundOrder.DUPLICATE:
                event = delivered.event
                log.error("row_duplicate", job_id=event.job_id, row=event.row, round=event.round)
                self._offsets.finish(delivered)

    def _block(self, row: Row) -> None:
        row.state = State.BLOCKED
        if self._offsets.is_in_doubt(row):
            self._offsets.mark_uncertain(row)
        self._supersede(self._rounds.wait(row))

    def _dead_letter(self, dead: DeadRecord) -> None:
        metrics.DEAD_LETTERS.inc()
        log.error("dead_letter", partition=self.partition, offset=dead.place.offset, reason=dead.reason)
        self._outgoing += dead.records(self._settings.topics)
        self._offsets.window(dead.topic).finish(dead.place)

    def _begin(self, row: Row) -> None:
        self._rounds.begin(row)
        # A former owner may have sent an earlier round of the row just before it was fenced.
        if row.event.round > 1 or self._offsets.is_in_doubt(row):
            self.put_in_doubt(row, self._look_ups_from)
        elif self._is_cancelled(row):
            self.finish(row, row.unprocessed(CANCELLED))
        else:
            self._queue.append(row)

    def _supersede(self, row: Row) -> None:
        if row.state in (State.READY, State.WAITING):
            self.finish(row, row.unprocessed(SUPERSEDED))

    def _is_cancelled(self, row: Row) -> bool:
        return row.successor is not None or self._job_commands.is_cancelled(row.event.job_id, row.event.round)

    def cancel(self, job_id: str) -> None:
        """Finishes the waiting rows of a cancelled job as unprocessed, without a call."""
        for row in self._rounds.of_job(job_id):
            if row.state in (State.READY, State.WAITING) and self._is_cancelled(row):
                self.finish(row, row.unprocessed(CANCELLED))

    # ---- what goes out -----------------------------------------------------------------------------------------------

    def may_send(self, now: float) -> bool:
        """Whether the lane may send anything at all. `now`: monotonic."""
        return self.end is None and not self._draining and now >= self._not_before and self._permit.holds(now)

    def permits(self, row: Row) -> bool:
        """Whether a row may be sent now. Asked right before the first byte of its call."""
        now = self._clock()
        return self.may_send(now) and self._permit.allows(row.topic, row.place.offset, now)

    def next_row(self, topic: str) -> Row | None:
        """The first row of a topic that may be sent now; retries go behind fresh rows."""
        if not self._queue.any(topic) or not self.may_send(now := self._clock()):
            return None
        for row in self._queue.heads(topic):
            if self._permit.allows(topic, row.place.offset, now):
                return row
            self._wake.set()  # a commit has to move the horizon
        return None

    def call_begins(self, row: Row) -> None:
        """A call for the row begins. Every call has to be ended with `call_ended`."""
        self._queue.take(row)
        row.state = State.IN_FLIGHT
        self._offsets.mark_uncertain(row)
        self._in_flight += 1
        self._send_ahead.sent()

    def call_ended(self) -> None:
        """A call has ended, with whatever outcome."""
        self._in_flight -= 1
        if not self._in_flight:
            self._drained.set()

    def put_in_doubt(self, row: Row, look_up_after: float) -> None:
        """The row may be in the directory: it stays below the horizon until a look-up has told (monotonic time)."""
        row.state = State.IN_DOUBT
        self._offsets.mark_uncertain(row)
        self._on_doubt(row, look_up_after)

    def retry(self, row: Row, wait: float) -> None:
        """The row is certainly not in the directory: it may be sent again after `wait` seconds."""
        self._offsets.mark_certain(row)
        if self._is_cancelled(row):
            self.finish(row, row.unprocessed(SUPERSEDED if row.successor else CANCELLED))
        elif wait:
            row.state = State.WAITING
            asyncio.get_running_loop().call_later(wait, self._ready_again, row)
        else:
            self._ready_again(row, front=True)

    def _ready_again(self, row: Row, *, front: bool = False) -> None:
        if self.end is None and row.state is not State.DONE:
            self._queue.append_retry(row, front=front)
            self._notify_sender()

    def finish(self, row: Row, result: RowOutcome) -> None:
        """The row has its result: it goes out with the next commit. Does nothing when the lane has ended."""
        if self.end is not None:
            return
        row.state = State.DONE
        self._rounds.end(row)
        record = encode(result, "processor", row.traceparent)
        self._outgoing.append((self._results, record.key, record.value, record.headers))
        self._offsets.finish(row)
        metrics.results(type(result).__name__).inc()
        log.debug("row_finished", job_id=row.event.job_id, row=row.event.row, result=type(result).__name__)
        if row.successor is not None:
            self._begin(row.successor)
        self._wake.set()

    # ---- commits -----------------------------------------------------------------------------------------------------

    async def _wait_until_due(self) -> None:
        """Returns when a commit may be due; with work at the latest when the permit has to be renewed."""
        working = self._offsets.has_work and not self._draining
        try:
            async with asyncio.timeout(self._schedule.seconds_until_renewal(self._clock()) if working else None):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
        await asyncio.sleep(self._schedule.seconds_until_next(self._clock()))

    def _something_to_commit(self) -> bool:
        if self._draining or self.end is not None or self._transactions is None:
            return False
        if self._outgoing or self._offsets.to_commit != self._committed_offsets:
            return True
        if not self._schedule.seconds_until_renewal(self._clock()):
            return self._offsets.has_work
        return any(self._needs_permit(topic) for topic in self._topics)

    def _needs_permit(self, topic: str) -> bool:
        place = self._queue.last_within(topic, self._send_ahead.rows)
        return place is not None and place.offset >= self._permit.horizon(topic)

    async def _commit(self, *, released: bool = False) -> None:
        """Commits results and watermarks. `released`: nothing is sent after it, until the next commit.

        A commit that does not return ends the lane, whatever it raises, and also when it is cancelled: the results that
        it has taken are in no other place, so the offsets must not pass them.
        """
        async with self._commit_lock:
            if self._transactions is None or self.end is not None:
                return
            try:
                await self._commit_with(self._transactions, released=released)
            except LaneFenced:
                self._finish_lane(LaneEnd.FENCED)
                raise
            except BaseException:
                self._finish_lane(LaneEnd.INDEFINITE)
                raise
        self._notify()

    async def _commit_with(self, transactions: LaneTransactions, *, released: bool) -> None:
        outgoing, self._outgoing = self._outgoing, []
        marks = self._watermarks(released=released)
        began = self._clock()
        self._schedule.commit_begins(began)
        if released:
            self._permit.withdraw()  # also when the lane stays here after all
        else:
            self._permit.commit_begins(began, marks)
        await transactions.commit(outgoing, marks)
        self._schedule.committed(self._clock())
        self._permit.committed()
        self._committed_offsets = {topic: mark.offset for topic, mark in marks.items()}

    def _watermarks(self, *, released: bool) -> dict[str, Watermark]:
        self._send_ahead.commit_begins()
        for topic in self._topics:
            if released:
                self._offsets.shrink_horizon(topic)
            else:
                self._offsets.extend_horizon(topic, self._queue.last_within(topic, self._send_ahead.rows))
        return self._offsets.watermarks(released=released)

    # ---- what can be seen of it --------------------------------------------------------------------------------------

    @property
    def owns_slots(self) -> bool:
        """Whether the lane's slots of the rate limit are ours. A former or the next owner may be using them."""
        ours = self.end is None and not self._draining and self._transactions is not None
        return ours and self._clock() >= self._not_before

    def report(self, end_offsets: dict[str, int]) -> LaneReport:
        """The lane's counts and lag for ProcessorReported. `end_offsets`: the ends of its partitions, by topic."""
        now = self._wall_clock()
        oldest = min((row.received_at for row in self._rounds), default=now)
        lags = {topic: max(end_offsets.get(topic, 0) - at, 0) for topic, at in self._offsets.to_commit.items()}
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
