"""The rows of one lane: from delivery to result. No clock, no Kafka, no directory.

It alone changes a row's state and attempts. What is done goes to `outgoing`, and waits there for the next commit.
"""

from collections.abc import Callable, Iterator

import structlog
from aiokafka import ConsumerRecord

from services.processor import metrics
from services.processor.lane.records import DeadRecord, read_record
from services.processor.lane.rounds import RoundOrder, Rounds
from services.processor.lane.row import Attempts, DeliveredRow, Row, State
from services.processor.lane.row_queue import RowQueue
from services.processor.memory.budget import LaneMemory
from services.processor.offsets.lane_offsets import LaneOffsets
from shared.contract.cloud_events import encode
from shared.contract.events import Event, RowErrorCode, RowFailed, RowOutcome, RowUnprocessed
from shared.contract.topics import Topics
from shared.runtime.kafka.fenced_transactions import OutgoingRecord

log = structlog.get_logger(__name__)

CANCELLED = "The job was cancelled before this row was sent."
SUPERSEDED = "A later round of this row took its place."


class LaneRows:
    """The rows in the windows of a lane, by state.

    `is_cancelled`: whether a job's round is not to be sent any more. `on_doubt` takes each row that a former owner of
    the lane may have sent: it has to be looked up. `memory` is charged for each row until its result is committed.
    """

    def __init__(
        self,
        topics: Topics,
        offsets: LaneOffsets,
        is_cancelled: Callable[[str, int], bool],
        on_doubt: Callable[[Row], None],
        memory: LaneMemory,
    ) -> None:
        self.in_flight = 0
        self._memory = memory
        self._topics = topics
        self._offsets = offsets
        self._express = topics.rows_express
        self._is_job_cancelled = is_cancelled
        self._on_doubt = on_doubt
        self._queue = RowQueue(topics.rows)
        # Asked before every call, for every lane: one call less each.
        self.heads = self._queue.heads
        self.any_ready = self._queue.any
        self.probes = self._queue.probes
        self.skip_ahead = self._queue.skip_ahead
        self._rounds = Rounds()
        self._outgoing: list[OutgoingRecord] = []
        #: What the rows were charged whose results are in `outgoing`, and of those in the commit under way, by express.
        self._finished = {True: 0, False: 0}
        self._committing = {True: 0, False: 0}

    def __len__(self) -> int:
        return len(self._rounds)

    def __iter__(self) -> Iterator[Row]:
        """The unfinished rows, each in its running round."""
        return iter(self._rounds)

    # ---- what comes in -----------------------------------------------------------------------------------------------

    def admit(self, topic: str, records: list[ConsumerRecord]) -> None:
        """Takes delivered records in, except those that were delivered before or are done."""
        window = self._offsets.window(topic)
        for record in records:
            if record.offset < window.position:
                continue  # delivered before a rebalance, and now once more
            place = window.admit(record.offset)
            if place is not None:
                delivered = read_record(record, place)
                self._memory.take(delivered.charge, express=self._is_express(topic))
                if isinstance(delivered, DeliveredRow):
                    self._deliver(Row(delivered))
                else:
                    self._dead_letter(delivered)

    def _deliver(self, row: Row) -> None:
        match self._rounds.order_of(row):
            case RoundOrder.NOW:
                self._begin(row)
            case RoundOrder.AFTER:
                self._block(row)
            case RoundOrder.TOO_LATE:
                if self._offsets.is_in_doubt(row):
                    self._doubt_running(row)
                self.finish(row, row.unprocessed(SUPERSEDED))
            case RoundOrder.DUPLICATE:
                event = row.event
                log.error("row_duplicate", job_id=event.job_id, row=event.row, round=event.round)
                self._offsets.finish(row)
                self._memory.give_back(row.delivered.charge, express=self._is_express(row.topic))

    def _doubt_running(self, row: Row) -> None:
        """The running round of a row that may have been sent is looked up first: that answers for both."""
        running = self._rounds.running(row)
        if running.state in (State.READY, State.WAITING):
            self.put_in_doubt(running, running.attempts)
            self._on_doubt(running)

    def _block(self, row: Row) -> None:
        row.state = State.BLOCKED
        if self._offsets.is_in_doubt(row):
            self._offsets.mark_uncertain(row)
        running = self._rounds.wait(row)
        if running.state in (State.READY, State.WAITING):
            self.finish(running, running.unprocessed(SUPERSEDED))

    def _dead_letter(self, dead: DeadRecord) -> None:
        metrics.DEAD_LETTERS.inc()
        log.error("dead_letter", partition=dead.partition, offset=dead.place.offset, reason=dead.reason)
        self._outgoing += dead.records(self._topics)
        self._finished[self._is_express(dead.topic)] += dead.charge
        self._offsets.window(dead.topic).finish(dead.place)

    def _begin(self, row: Row, *, earlier_may_exist: bool = False) -> None:
        self._rounds.begin(row)
        retry_may_exist = row.event.round > 1 and row.event.may_exist
        if retry_may_exist or earlier_may_exist or self._offsets.is_in_doubt(row):
            self.put_in_doubt(row, row.attempts)
            self._on_doubt(row)
        elif self._is_cancelled(row):
            self.finish(row, row.unprocessed(CANCELLED))
        else:
            row.state = State.READY
            self._queue.append(row)

    # ---- cancelled jobs ----------------------------------------------------------------------------------------------

    def cancel(self, job_id: str) -> None:
        """Finishes the waiting rows of a cancelled job as unprocessed, without a call."""
        for row in self._rounds.of_job(job_id):
            if row.state in (State.READY, State.WAITING) and self._is_cancelled(row):
                self.finish(row, row.unprocessed(CANCELLED))

    def _is_cancelled(self, row: Row) -> bool:
        return self._rounds.is_superseded(row) or self._is_job_cancelled(row.event.job_id, row.event.round)

    # ---- on the way to a result --------------------------------------------------------------------------------------

    def call_begins(self, row: Row) -> None:
        """A call for one of the `heads`, or of the `probes`, begins. Every call has to be ended with `call_ended`."""
        self._queue.take(row)
        row.state = State.IN_FLIGHT
        self._offsets.mark_uncertain(row)
        self.in_flight += 1

    def call_ended(self) -> None:
        """A call has ended, with whatever outcome."""
        self.in_flight -= 1

    def put_in_doubt(self, row: Row, attempts: Attempts) -> None:
        """The row may be in the directory: it stays below the horizon until a look-up has told."""
        row.state, row.attempts = State.IN_DOUBT, attempts
        self._offsets.mark_uncertain(row)

    def wait(self, row: Row, attempts: Attempts) -> bool:
        """The row is certainly not in the directory. Returns whether it is to be sent again: call `ready_again`."""
        row.attempts = attempts
        self._offsets.mark_certain(row)
        if self._is_cancelled(row):
            message = SUPERSEDED if self._rounds.is_superseded(row) else CANCELLED
            self.finish(row, row.unprocessed(message))
            return False
        row.state = State.WAITING
        return True

    def ready_again(self, row: Row, *, front: bool = False) -> None:
        """The row may be sent again. `front`: before the others, because nothing went wrong with it."""
        if row.state is State.WAITING:
            row.state = State.READY
            self._queue.append_retry(row, front=front)

    def finish(self, row: Row, result: RowOutcome) -> None:
        """The row has its result: it goes out with the next commit."""
        was_queued, row.state = row.state is State.READY, State.DONE
        if was_queued:
            self._queue.finished_here()
        following = self._rounds.end(row)
        self._write(self._topics.results, result, row.delivered.traceparent)
        self._finished[self._is_express(row.topic)] += row.delivered.charge
        self._offsets.finish(row)
        metrics.results(type(result).__name__).inc()
        log.debug("row_finished", job_id=row.event.job_id, row=row.event.row, result=type(result).__name__)
        if following is not None:
            self._begin(following, earlier_may_exist=_may_exist(result))

    def write_job_event(self, event: Event) -> None:
        """An event of `hospital.jobs` goes out with the next commit."""
        self._write(self._topics.jobs, event)

    def _write(self, topic: str, event: Event, traceparent: str | None = None) -> None:
        record = encode(event, "processor", traceparent)
        self._outgoing.append((topic, record.key, record.value, record.headers))

    def _is_express(self, topic: str) -> bool:
        return topic == self._express

    # ---- what a commit takes -----------------------------------------------------------------------------------------

    @property
    def outgoing(self) -> bool:
        """Whether anything waits for the next commit."""
        return bool(self._outgoing)

    def take_outgoing(self) -> list[OutgoingRecord]:
        """What the next commit writes. From then on it is in no other place."""
        taken, self._outgoing = self._outgoing, []
        self._committing, self._finished = self._finished, {True: 0, False: 0}
        return taken

    def committed(self) -> None:
        """What was taken is on Kafka."""
        for express, charged in self._committing.items():
            self._memory.give_back(charged, express=express)

    def drop(self) -> None:
        """The lane has ended, and its next owner reads everything again."""
        self._rounds.clear()
        self._queue.clear()
        self._outgoing.clear()
        self._offsets.forget_rows()
        self._memory.close()

    def extend_horizons(self, ahead: int) -> None:
        """Moves the horizons over the next `ahead` rows of each topic: those may be sent before the next commit."""
        for topic in self._topics.rows:
            self._offsets.extend_horizon(topic, self._queue.last_within(topic, ahead))

    def shrink_horizons(self) -> None:
        """Moves the horizons as low as they may be when nothing more is sent."""
        for topic in self._topics.rows:
            self._offsets.shrink_horizon(topic)

    def furthest(self, topic: str, ahead: int) -> int | None:
        """The highest offset among the next `ahead` rows of a topic, None when there are none."""
        place = self._queue.last_within(topic, ahead)
        return None if place is None else place.offset


def _may_exist(result: RowOutcome) -> bool:
    """Whether the hospital may be in the directory after this result."""
    rejected = isinstance(result, RowFailed) and result.code is RowErrorCode.REJECTED
    return not (rejected or isinstance(result, RowUnprocessed))
