"""Topics in, tables out, for as long as the process lives.

    group hospital-status · topics hospital.results, hospital.jobs, hospital.processors · read_committed
    Acknowledged by the database: offsets are stored in the transaction of the rows (compare-and-set) and sought after
    each assignment. Kafka's own committed offsets are written after it, for tools that show lag; nothing reads them.

Kafka or the database may be away for any time: the projector keeps trying, and `check` says what is missing. It stops
only when records were deleted before they were projected, until a rebuild: going on would silently give wrong answers.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka import TopicPartition
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.caller_priority import NO_CALLERS, CallerPriority
from services.status.metrics import RESTARTS, STOPPED
from services.status.projection.decoding import Decoder
from services.status.projection.event_batch import EventBatch
from services.status.projection.lag import Lag
from services.status.projection.positions import Positions
from services.status.projection.reader import Reader, Reading, RecordsMissing
from services.status.projection.rejected_records import project_records
from services.status.tables import stored_offsets
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.schema_version import check_schema
from services.status.tables.stored_offsets import OffsetsMoved
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.publisher import KafkaUnavailable
from shared.runtime.kafka.topic_admin import wait_for_topics
from shared.runtime.process_tuning import collect_between_batches
from shared.runtime.schema_versions import SchemaOutdated
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

#: A transaction that takes longer is given up. Should it be committed later, the stored offsets say so.
_COMMIT_SECONDS: Final = 30.0
_LAST_WRITE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class ProjectorTimings:
    """In seconds."""

    #: Between two attempts while Kafka or the database is away.
    retry: float = 1.0
    #: How often a stopped projection looks whether the tables were made again.
    rebuild_poll: float = 5.0


class NotRunning(RuntimeError):
    """The projection does not run: the message says why."""


class Projector:
    """One replica's part of the topics, projected."""

    def __init__(
        self,
        settings: KafkaSettings,
        engine: AsyncEngine,
        decoder: Decoder,
        positions: Positions,
        change_signal: ChangeSignal,
        priority: CallerPriority = NO_CALLERS,
        *,
        make_reader: Callable[[KafkaSettings, AsyncEngine, Positions, Lag, CallerPriority], Reader] = Reader,
        topics_ready: Callable[[KafkaSettings], Awaitable[None]] = wait_for_topics,
        timings: ProjectorTimings = ProjectorTimings(),
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._decoder = decoder
        self._positions = positions
        self._change_signal = change_signal
        self._priority = priority
        self._make_reader = make_reader
        self._topics_ready = topics_ready
        self._timings = timings
        self._lag = Lag()
        self._last_error: str | None = "it has not started yet"

    async def run(self) -> None:
        """Projects until cancelled. When records are missing it stands still until the tables were made again."""
        while True:
            try:
                await check_schema(self._engine)
                await self._topics_ready(self._settings)
                await self._consume()
            except RecordsMissing as missing:
                self._last_error = str(missing)
                log.error("projection_stopped", reason=self._last_error)
                with STOPPED.track_inprogress():
                    await self._rebuilt(missing.offsets)
            except (*KAFKA_FAILURES, SQLAlchemyError, SchemaOutdated) as error:
                self._will_retry(error)
            except Exception as error:  # a bug must not end the projection in silence
                log.error("projection_fault", exc_info=error)
                self._will_retry(error)
            RESTARTS.inc()
            await asyncio.sleep(self._timings.retry)

    async def _rebuilt(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Returns when the tables no longer say that these offsets come next. Until then we are in no group."""
        moved = False
        while not moved:
            await asyncio.sleep(self._timings.rebuild_poll)
            with contextlib.suppress(SQLAlchemyError, OSError):
                async with self._engine.connect() as connection:
                    stored = await stored_offsets.stored(connection, list(offsets))
                moved = any(stored.get(partition) != offset for partition, offset in offsets.items())

    async def check(self) -> str:
        """How far behind the projection is. Raises NotRunning with the reason when it stands still."""
        if self._last_error:
            raise NotRunning(self._last_error)
        return self._lag.describe()

    async def _consume(self) -> None:
        """Reads and decodes the next batch while the one before is being written: Kafka and the database both work."""
        reader = self._make_reader(self._settings, self._engine, self._positions, self._lag, self._priority)
        writing = _nothing_written()
        try:
            await reader.start()
            while True:
                reading = await self._read(reader)
                if not await writing or reading is None:
                    # What was read meanwhile may not follow what the database holds: it is read again.
                    await self._recover(reader)
                    writing = _nothing_written()
                else:
                    if not reading[0].records:
                        collect_between_batches()
                    writing = asyncio.create_task(self._write(reader, *reading))
        finally:
            await asyncio.wait({writing}, timeout=_LAST_WRITE_SECONDS)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await reader.stop()

    async def _read(self, reader: Reader) -> tuple[Reading, EventBatch] | None:
        """What comes next; None when the database or Kafka could not be asked."""
        try:
            live = bool(self._positions.caught_up(self._settings.topics.processors))
            reading = await reader.read()
            return reading, await self._decoder.decode(reading.records, live=live)
        except (SQLAlchemyError, OSError, KafkaUnavailable) as error:
            self._will_retry(error)
            return None

    async def _write(self, reader: Reader, reading: Reading, batch: EventBatch) -> bool:
        """Projects a batch. False when that failed: only the database knows how far we are."""
        try:
            if reading.steps:
                await run_with_timeout(_COMMIT_SECONDS, self._project(reading, batch))
        except OffsetsMoved as moved:
            log.info("offsets_moved", reason=str(moved))
            return False
        except (SQLAlchemyError, OSError, KafkaUnavailable) as error:
            self._will_retry(error)
            return False
        self._last_error = None
        reader.committed(reading)
        if reading.steps:
            self._change_signal.announce()
        await reader.commit_to_group()
        return True

    async def _project(self, reading: Reading, batch: EventBatch) -> None:
        await project_records(self._engine, self._decoder, reading.steps, reading.records, batch, self._priority)

    async def _recover(self, reader: Reader) -> None:
        """A database that is away costs a pause, not the membership of the group."""
        self._positions.invalidate()
        if self._last_error:
            await asyncio.sleep(self._timings.retry)
            await reader.keep_membership()

    def _will_retry(self, error: Exception) -> None:
        self._last_error = str(error) or type(error).__name__
        log.warning("projection_retries", reason=self._last_error)


def _nothing_written() -> "asyncio.Future[bool]":
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    done.set_result(True)
    return done
