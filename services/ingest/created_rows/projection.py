"""Results in, created rows out, for as long as the process lives. Uploads never wait for it.

no group · topic hospital.results · read_committed
Acknowledged by the database: the offsets are stored in the transaction of the rows, and are where it starts from.
One replica reads, for a lease that it renews. Should two read, one is too late by compare-and-set: twice is once.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import uuid4

import structlog

from services.ingest.created_rows.chunks import HashedRow
from services.ingest.created_rows.decoding import RowDecoder
from services.ingest.created_rows.results_reader import OtherTopic, ResultsReader
from services.ingest.created_rows.store import CreatedRowsStore, Progress, ProgressMoved
from services.ingest.metrics import CREATED_ROWS, CREATED_ROWS_BEHIND
from shared.runtime.databases import DatabaseDown
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

#: Rows that are written at a time, while there are so many.
_BATCH_ROWS: Final = 2_000
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 0.5
_OTHER_READS: Final = "another replica reads"


@dataclass(frozen=True, slots=True)
class ProjectionTimings:
    """In seconds."""

    #: How long the others leave it to the replica that reads; renewed after a third of it.
    lease: float = 15.0
    #: How long created rows wait to be written together, unless they are many.
    gather: float = 1.0
    #: Between two attempts while Kafka or the database is away, or another replica reads.
    retry: float = 2.0


PROJECTION_TIMINGS: Final = ProjectionTimings()


class CreatedRowsProjection:
    """Follows the results.

    `topics_ready` returns when the topics are there. `clock`: seconds, never going back.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        store: CreatedRowsStore,
        topics_ready: Callable[[], Awaitable[object]],
        timings: ProjectionTimings = PROJECTION_TIMINGS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._store = store
        self._topics_ready = topics_ready
        self._timings = timings
        self._clock = clock
        self._name = uuid4().hex
        self._lease = timedelta(seconds=timings.lease)
        self._state = "not read yet"

    async def state(self) -> str:
        """For readiness: how far behind it is, or why it does not read. It is no reason to refuse uploads."""
        return self._state

    async def run(self) -> None:
        """Reads until cancelled, through every outage."""
        await self._topics_ready()
        while True:
            try:
                await self._follow()
            except ProgressMoved as moved:
                self._state = _OTHER_READS
                log.info("created_rows_moved", reason=str(moved))
            except (*KAFKA_FAILURES, DatabaseDown) as error:
                self._state = f"not read: {str(error) or type(error).__name__}"
                log.warning("created_rows_put_off", reason=self._state)
            await asyncio.sleep(self._timings.retry)

    async def _follow(self) -> None:
        progress = await self._store.take(self._name, self._lease)
        if progress is None:
            self._state = _OTHER_READS
            return
        reader = ResultsReader(self._settings)
        try:
            progress = await self._of_this_kafka(progress, await reader.cluster())
            await run_with_timeout(_START_SECONDS, reader.start(progress.offsets, self._store.oldest))
            try:
                await self._read_on(reader, progress)
            except OtherTopic as other:
                log.warning("created_rows_begin_anew", reason=str(other))
                await self._store.begin_anew(await self._store.progress(), progress.cluster)
        finally:
            with contextlib.suppress(DatabaseDown, TimeoutError):
                await run_with_timeout(_STOP_SECONDS, self._store.release(progress))
            await reader.stop()

    async def _of_this_kafka(self, progress: Progress, cluster: str) -> Progress:
        """The progress; from the beginning when it was of another Kafka."""
        if cluster == progress.cluster:
            return progress
        if progress.cluster:
            log.warning("created_rows_begin_anew", reason=f"the Kafka cluster is {cluster}, not {progress.cluster}")
        return await self._store.begin_anew(progress, cluster)

    async def _read_on(self, reader: ResultsReader, progress: Progress) -> None:
        decoder = RowDecoder(progress.secret)
        rows: list[HashedRow] = []
        written_at = self._clock()
        while True:
            records = await reader.read()
            rows += decoder.rows(records, self._store.oldest)
            reached = await reader.reached()
            behind = reader.behind(reached)
            CREATED_ROWS_BEHIND.set(behind)
            self._state = f"{behind:,} records behind" if behind else "up to date"
            if self._is_due(rows, reached, progress, self._clock() - written_at):
                progress = await self._store.write(progress, rows, reached, self._lease)
                CREATED_ROWS.inc(len(rows))
                rows, written_at = [], self._clock()
            await asyncio.sleep(0)

    def _is_due(self, rows: list[HashedRow], reached: Mapping[int, int], progress: Progress, seconds: float) -> bool:
        timings = self._timings
        waited = seconds >= timings.gather and reached != progress.offsets
        return len(rows) >= _BATCH_ROWS or waited or (seconds >= timings.lease / 3 and not self._store.is_alone)
