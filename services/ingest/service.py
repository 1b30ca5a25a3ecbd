"""The ingest service, put together: what runs beside the API, and what readiness asks for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, NoReturn

import structlog
from fastapi import FastAPI
from opentelemetry import trace
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.api import create_app
from services.ingest.created_rows.known_rows import KnownRows
from services.ingest.created_rows.projection import PROJECTION_TIMINGS, CreatedRowsProjection, ProjectionTimings
from services.ingest.created_rows.store import CreatedRowsStore
from services.ingest.file_workers import FileWorkers
from services.ingest.keys.lease import RENEWAL_SECONDS
from services.ingest.keys.recovery import Recovery
from services.ingest.keys.replay import Replays
from services.ingest.keys.reservations import Reservations
from services.ingest.keys.schema_version import check_schema, migrate
from services.ingest.publication.connection_pool import ConnectionPool
from services.ingest.publication.job_transaction import JobTransaction, NotPublished, fence
from services.ingest.publication.jobs_topic import JobsTopic
from services.ingest.publication.upload_budgets import UPLOAD_TIMEOUTS, UploadTimeouts
from services.ingest.settings import IngestSettings
from services.ingest.submission import Submission
from services.ingest.upload.admission import ADMISSION_LIMITS, Admission, AdmissionLimits
from services.ingest.upload.body import BODY_TIMEOUTS, BodyTimeouts
from services.ingest.upload.spool import Spool
from shared.runtime.databases import Database, DatabaseDown, create_engine
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.kafka.topic_admin import check_topics, wait_for_topics

log = structlog.get_logger(__name__)

#: Connections to PostgreSQL.
_CONNECTIONS: Final = 10
_WARM_UP_SECONDS: Final = 30.0
#: How long the end of the service waits until the uploads that it cut off have freed their keys.
_CUT_OFF_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 1.5
#: How often created rows are deleted that are not remembered any more.
_FORGET_SECONDS: Final = 600.0
#: How long the end of the service waits for what runs in the background.
_END_SECONDS: Final = 1.0
#: How long what runs in the background rests after a fault.
_RESTART_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What no installation has to set: time-outs, and how much is done at a time."""

    body: BodyTimeouts = BODY_TIMEOUTS
    admission: AdmissionLimits = ADMISSION_LIMITS
    kafka: UploadTimeouts = UPLOAD_TIMEOUTS
    renewal_seconds: float = RENEWAL_SECONDS
    created_rows: ProjectionTimings = PROJECTION_TIMINGS


LIMITS: Final = Limits()


def build(
    settings: IngestSettings,
    limits: Limits = LIMITS,
    *,
    transaction_type: type[JobTransaction] = JobTransaction,
    tracer: trace.Tracer | None = None,
) -> FastAPI:
    """The app with everything that it needs. Nothing connects before it is served."""
    engine = create_engine(settings.database, _CONNECTIONS)
    database = Database(engine, _CONNECTIONS)
    reservations = Reservations(database, settings.idempotency_ttl_seconds)
    jobs = JobsTopic(settings)
    pool = ConnectionPool(settings)
    recovery = Recovery(pool, reservations, jobs)
    store = CreatedRowsStore(database, is_alone=engine.dialect.name == "sqlite")
    topics_ready = asyncio.Event()
    created_rows = CreatedRowsProjection(settings, store, topics_ready.wait, limits.created_rows)
    workers = FileWorkers()
    spool = Spool()
    submission = Submission(
        settings=settings,
        workers=workers,
        reservations=reservations,
        replays=Replays(reservations, recovery),
        jobs=jobs,
        pool=pool,
        known_rows=KnownRows(store),
        admission=Admission(limits.admission),
        timeouts=limits.kafka,
        renewal_seconds=limits.renewal_seconds,
        transaction_type=transaction_type,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await _migrate_sqlite(engine)
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "follow_kafka": lambda: _follow_kafka(pool, jobs, topics_ready),
            "sweep": recovery.sweep,
            "created_rows": created_rows.run,
            "forget_created_rows": lambda: _forget(store),
        }
        background = [asyncio.create_task(keep_running(name, work)) for name, work in works.items()]
        yield
        await submission.admission.empty(_CUT_OFF_SECONDS)
        for task in background:
            task.cancel()
        await asyncio.wait(background, timeout=_END_SECONDS)
        pool.close()
        workers.close()
        spool.close()
        await database.close()

    async def check_kafka() -> None:
        await check_topics(settings)
        jobs.check()

    checks = {
        "kafka": check_kafka,
        "database": lambda: database.run(check_schema, _CHECK_SECONDS),
        "created_rows": created_rows.state,
    }
    return create_app(settings, submission, spool, checks, lifespan, limits.body, tracer)


async def keep_running(
    name: str, work: Callable[[], Awaitable[None]], restart_seconds: float = _RESTART_SECONDS
) -> NoReturn:
    """Does the work again and again, after a pause. A fault that it did not expect is logged and does not end it."""
    while True:
        try:
            await work()
        except Exception as error:
            log.error("background_fault", work=name, exc_info=error)
        await asyncio.sleep(restart_seconds)


async def _follow_kafka(pool: ConnectionPool, jobs: JobsTopic, topics_ready: asyncio.Event) -> None:
    await wait_for_topics(pool.settings)
    topics_ready.set()
    with suppress(NotPublished):
        # A new cluster takes a second to make its topic of transactions. The first upload should not wait for it.
        await fence(pool, "ingest-start", AnswerBudget(_WARM_UP_SECONDS))
    await jobs.keep_current()


async def _forget(store: CreatedRowsStore) -> None:
    while True:
        with suppress(DatabaseDown):
            await store.delete_expired()
        await asyncio.sleep(_FORGET_SECONDS)


async def _migrate_sqlite(engine: AsyncEngine) -> None:
    if engine.dialect.name == "sqlite":
        await migrate(engine)
