"""A lane: one partition index of its three topics, owned by this processor from takeover to hand-over.

It brings together the rows (`lane_rows`), the activations (`lane_activations`), the commits of both (`committer`) and
whose the lane is (`ownership`). Its topics are the two of rows, and `hospital.jobs` for the activations. It never calls
the directory (`sending` does) and never polls Kafka (`lane_consumer` does). All runs on the event loop's thread.
"""

import asyncio
import time
from collections.abc import Callable, Iterator

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from services.processor import metrics
from services.processor.job_commands import JobCommands
from services.processor.lane.committer import Committer
from services.processor.lane.lane_activations import LaneActivations
from services.processor.lane.lane_rows import LaneRows
from services.processor.lane.ownership import LaneEnd, Ownership
from services.processor.lane.report import lane_report
from services.processor.lane.row import Attempts, Row
from services.processor.lane.takeover import Takeover
from services.processor.lane.transactions import LaneFenced
from services.processor.lane.transitions import Finished, LookUp, Next, Retry
from services.processor.memory.budget import LaneMemory
from services.processor.memory.sizes import charge
from services.processor.offsets.lane_offsets import LaneOffsets
from services.processor.settings import ProcessorSettings
from shared.contract.events import LaneReport
from shared.runtime.kafka.fenced_transactions import CommitIndefinite

log = structlog.get_logger(__name__)

#: Takes a row in doubt with its lane, and the monotonic time before which it must not be looked up.
OnDoubt = Callable[["Lane", Row, float], None]


class Lane:
    """One ownership of a lane, made by its takeover. After its end it is never used again: a new one takes over.

    `notify` is called whenever there may be something to send. `on_doubt` takes each row that needs a look-up. `memory`
    is charged for the rows. All times are of `clock` (monotonic, in seconds), except in `report`.
    """

    def __init__(
        self,
        settings: ProcessorSettings,
        partition: int,
        consumer: AIOKafkaConsumer,
        takeover: Takeover,
        job_commands: JobCommands,
        notify: Callable[[], None],
        on_doubt: OnDoubt,
        memory: LaneMemory,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.partition = partition
        self._settings = settings
        self._topics = settings.topics.rows
        self._consumer = consumer
        self._notify = notify
        self._on_doubt = on_doubt
        self._clock = clock
        self._wall_clock = wall_clock
        now = clock()
        lease = 0.0 if takeover.clean else settings.lease_seconds
        #: From then on nothing that the former owner sent can still be created (monotonic).
        self._look_ups_from = now if takeover.unowned else now + lease + settings.settled_seconds
        self._ownership = Ownership(now + lease)
        self._offsets = LaneOffsets(takeover.watermarks)
        self._memory = memory
        self._rows = LaneRows(
            settings.topics, self._offsets, job_commands.is_cancelled, self._look_up_inherited, memory
        )
        self.committer = Committer(
            settings,
            self._ownership,
            self._offsets,
            self._rows,
            takeover.transactions,
            lambda: self._rows.in_flight + self.activations.in_flight,
            notify,
            clock,
        )
        self._jobs = settings.topics.jobs
        self.activations = LaneActivations(
            self._offsets.window(self._jobs), self._rows, self._ownership, self.committer, notify, clock
        )
        if lease:
            asyncio.get_running_loop().call_later(lease, self._wake)
        self._wake()

    def _wake(self) -> None:
        self.committer.wake()
        self._notify()

    def _look_up_inherited(self, row: Row) -> None:
        self._on_doubt(self, row, self._look_ups_from)

    # ---- life --------------------------------------------------------------------------------------------------------

    @property
    def end(self) -> LaneEnd | None:
        """Why the lane has ended, None while it has not."""
        return self._ownership.end

    @property
    def ended(self) -> bool:
        """Whether it has another owner now, or needs a new takeover."""
        return self._ownership.end is not None

    @property
    def reads(self) -> bool:
        """Whether records may be delivered: the consumer stands where the lane goes on."""
        return self._ownership.reads

    async def run(self) -> LaneEnd:
        """Commits whenever there is something to commit, until the lane ends. Returns why."""
        try:
            await self.committer.run()
        except LaneFenced:
            metrics.FENCED.inc()
        except CommitIndefinite as error:
            log.warning("lane_indefinite", partition=self.partition, reason=str(error), next="takeover")
        finally:
            self._rows.drop()
        return self.end or LaneEnd.CLOSED

    def stay(self) -> None:
        """A rebalance has left the lane here. Points the consumer at its next record."""
        assigned = self._consumer.assignment()
        for topic, position in self._offsets.positions.items():
            if (where := TopicPartition(topic, self.partition)) in assigned:
                self._consumer.seek(where, position)

    async def hand_over(self, seconds: float = 0.0) -> bool:
        """Waits for a moment without calls in flight, and commits that nothing is under way: a clean hand-over.

        For so many seconds it goes on with a call now and then; from then on it sends nothing. The caller bounds the
        whole wait. Only its `close` may follow. Returns whether that commit says `released`.
        """
        return await self.committer.hand_over(seconds)

    def hold(self) -> None:
        """A hand-over that is under way is not to begin any more calls."""
        self.committer.hold()

    def close(self) -> None:
        """Ends the lane: another processor gets it, or this one stops. Its next owner finds what is committed."""
        self.committer.end(LaneEnd.CLOSED)

    def stop(self, reason: str) -> None:
        """Ends the lane because rows were deleted before they were processed. Going on would hide that."""
        log.error("lane_stopped", partition=self.partition, reason=reason)
        self.committer.end(LaneEnd.RECORDS_MISSING)

    # ---- what comes in -----------------------------------------------------------------------------------------------

    @property
    def used(self) -> int:
        """How many delivered rows the windows hold, done or not."""
        return sum(self._offsets.held(topic) for topic in self._topics)

    def has_room(self, topic: str, records: int) -> bool:
        """Whether so many more records of a topic fit, whatever their size. A tenth of the window is for express rows.

        Records of `hospital.jobs` have a window of the same size for themselves: they are few, and mostly done at once.
        They never wait for memory.
        """
        limit = self._settings.window_rows
        if topic == self._jobs:
            return self._offsets.held(topic) + records <= limit
        express = topic == self._topics[0]
        has_room = self.used + records <= (limit if express else limit - limit // 10)
        return has_room and self._memory.has_room(express=express)

    def fitting(self, topic: str, records: list[ConsumerRecord]) -> int:
        """How many of the records there is memory for, from the first on."""
        if topic == self._jobs:
            return len(records)
        charges = (charge(record.key, record.value) for record in records)
        return self._memory.fitting(charges, express=topic == self._topics[0])

    def position(self, topic: str) -> int:
        """The offset from which a topic is read on."""
        return self._offsets.window(topic).position

    def admit(self, topic: str, records: list[ConsumerRecord], position: int) -> None:
        """Takes delivered records in. `position`: the consumer's position after them."""
        window = self._offsets.window(topic)
        before = window.position
        if topic == self._jobs:
            self.activations.admit(records)
        else:
            self._rows.admit(topic, records)
        window.moved_to(position)
        if records or window.position != before:
            self._wake()

    def cancel(self, job_id: str) -> None:
        """Finishes the waiting rows of a cancelled job as unprocessed, without a call."""
        self._rows.cancel(job_id)
        self.committer.wake()

    # ---- what goes out -----------------------------------------------------------------------------------------------

    def may_send(self, now: float) -> bool:
        """Whether the lane may send anything at all. `now`: monotonic."""
        return self.committer.may_send(now)

    def permits(self, row: Row) -> bool:
        """Whether a row may be sent now. Asked right before the first byte of its call."""
        delivered = row.delivered
        return self.committer.may_send(self._clock()) and self.committer.permits(
            delivered.topic, delivered.place.offset
        )

    def next_row(self, topic: str) -> Row | None:
        """The first row of a topic that may be sent now; retries go behind fresh rows."""
        if not self._rows.any_ready(topic) or not self.committer.may_begin(self._clock()):
            return None
        for row in self._rows.heads(topic):
            if self.committer.permits(topic, row.delivered.place.offset):
                return row
            self.committer.wake()  # a commit has to move the horizon
        return None

    def next_probe(self, topic: str) -> Row | None:
        """The row of a topic that has failed least often in a row, if it may be sent now."""
        if not self._rows.any_ready(topic) or not self.committer.may_begin(self._clock()):
            return None
        for row in self._rows.probes(topic):
            if self.committer.permits(topic, row.delivered.place.offset):
                return row
            self.committer.wake()  # a commit has to move the horizon
        return None

    def skip_ahead(self, topic: str) -> None:
        """The directory cannot take a row, nor perhaps its neighbours: goes on elsewhere among the topic's rows."""
        self._rows.skip_ahead(topic)

    def call_begins(self, row: Row) -> None:
        """A call for the row begins. Every call has to be ended with `call_ended`."""
        self._rows.call_begins(row)
        self.committer.call_begins()

    def call_ended(self) -> None:
        """A call has ended, with whatever outcome."""
        self._rows.call_ended()
        if not self._rows.in_flight:
            self.committer.call_ended()

    def apply(self, row: Row, attempts: Attempts, following: Next) -> None:
        """What follows from a call or a look-up. Does nothing when the lane has ended: its next owner looks it up."""
        if self.ended:
            return
        match following:
            case Finished(result):
                self._rows.finish(row, result)
            case Retry(delay):
                self._send_again(row, attempts, delay)
            case LookUp(not_before):
                self._rows.put_in_doubt(row, attempts)
                self._on_doubt(self, row, not_before)
        self.committer.wake()

    def _send_again(self, row: Row, attempts: Attempts, delay: float) -> None:
        if not self._rows.wait(row, attempts):
            return
        if delay:
            asyncio.get_running_loop().call_later(delay, self._ready_again, row)
        else:
            self._ready_again(row, front=True)

    def _ready_again(self, row: Row, *, front: bool = False) -> None:
        if not self.ended:
            self._rows.ready_again(row, front=front)
            self._notify()

    # ---- what can be seen of it --------------------------------------------------------------------------------------

    @property
    def taking_over(self) -> bool:
        """Whether nothing is sent yet, because the former owner may still be sending."""
        return self._ownership.waits_for_lease(self._clock())

    def report(self, end_offsets: dict[str, int]) -> LaneReport:
        """The lane's counts and lag for ProcessorReported. `end_offsets`: the ends of its partitions, by topic."""
        topics, now, taking_over = self._settings.topics, self._wall_clock(), self.taking_over
        return lane_report(self.partition, topics, self._rows, self._offsets, end_offsets, now, taking_over=taking_over)

    def unfinished_rows(self) -> Iterator[Row]:
        """The rows without a result."""
        return iter(self._rows)
