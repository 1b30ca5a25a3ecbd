"""Topics in, tables out, for as long as the process lives.

    group hospital-status · topics hospital.results, hospital.jobs, hospital.processors · read_committed
    Acknowledged by the database: offsets are stored in the transaction of the rows (compare-and-set) and sought after
    each assignment. Kafka's own committed offsets are written after it, for tools that show lag; nothing reads them.

Kafka or the database may be away for any time: the intake keeps trying, and `check` says what is missing. Only records
that were deleted before they were projected stop it for good, since going on would silently give wrong answers.
"""

import asyncio
from typing import Final

import structlog
from aiokafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.changes import Changes
from services.status.decoding import Decoder
from services.status.lag import Lag
from services.status.metrics import RESTARTS
from services.status.positions import Positions
from services.status.projection import project
from services.status.publisher import KafkaUnavailable
from services.status.reader import Reader, RecordsMissing
from services.status.schema import SchemaOutdated, check_schema
from services.status.stored_offsets import OffsetsMoved
from shared.patience import within
from shared.settings import KafkaSettings
from shared.topic_creation import wait_for_topics

log = structlog.get_logger(__name__)

_RETRY_SECONDS: Final = 1.0
#: A database that has fallen silent is given up for this time; should it commit later, the offsets tell.
_COMMIT_SECONDS: Final = 30.0


class NotRunning(RuntimeError):
    """The projection does not run: the message says why."""


class Intake:
    """One replica's part of the topics, projected."""

    def __init__(
        self, settings: KafkaSettings, engine: AsyncEngine, decoder: Decoder, positions: Positions, changes: Changes
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._decoder = decoder
        self._positions = positions
        self._changes = changes
        self._lag = Lag()
        self._trouble: str | None = "it has not started yet"

    async def run(self) -> None:
        """Projects until cancelled. Returns only when records are missing."""
        while True:
            try:
                await check_schema(self._engine)
                await wait_for_topics(self._settings)
                await self._consume()
            except RecordsMissing as missing:
                self._trouble = str(missing)
                log.error("projection_stopped", reason=self._trouble)
                return
            except (KafkaError, SQLAlchemyError, OSError, SchemaOutdated) as error:
                self._will_retry(error)
            except Exception as error:  # a fault of ours must not end the projection in silence
                log.error("projection_fault", exc_info=error)
                self._will_retry(error)
            RESTARTS.inc()
            await asyncio.sleep(_RETRY_SECONDS)

    async def check(self) -> str:
        """How far behind the projection is. Raises NotRunning with the reason when it stands still."""
        if self._trouble:
            raise NotRunning(self._trouble)
        return self._lag.words()

    async def _consume(self) -> None:
        reader = Reader(self._settings, self._engine, self._positions, self._lag)
        try:
            await reader.start()
            while True:
                await self._turn(reader)
        finally:
            await reader.stop()

    async def _turn(self, reader: Reader) -> None:
        """Reads once and projects it. A database that is away costs a pause, not the membership of the group."""
        try:
            reading = await reader.read()
            delivery = await self._decoder.decode(reading.records)
            if reading.steps:
                await within(_COMMIT_SECONDS, project(self._engine, reading.steps, delivery))
        except OffsetsMoved as moved:
            log.info("offsets_moved", reason=str(moved))
            self._positions.lose()
        except (SQLAlchemyError, OSError, KafkaUnavailable) as error:
            self._will_retry(error)
            self._positions.lose()
            await asyncio.sleep(_RETRY_SECONDS)
            await reader.keep_membership()
        else:
            self._trouble = None
            reader.take(reading)
            if reading.steps:
                self._changes.announce()
            await reader.commit_to_group()

    def _will_retry(self, error: Exception) -> None:
        self._trouble = str(error) or type(error).__name__
        log.warning("projection_retries", reason=self._trouble)
