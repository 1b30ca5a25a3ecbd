"""The ingest service, put together: what runs beside the API, and what readiness asks for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.api import create_app
from services.ingest.file_workers import Workers
from services.ingest.keys.database import POOL_SIZE, Database
from services.ingest.keys.recovery import Settling
from services.ingest.keys.replay import KeyHolder
from services.ingest.keys.reservations import Reservations
from services.ingest.keys.schema_version import check_schema, migrate
from services.ingest.publication.connection_pool import Connections
from services.ingest.publication.job_transaction import NotPublished, fence
from services.ingest.publication.jobs_topic import JobsLog
from services.ingest.settings import IngestSettings
from services.ingest.submission import Submission
from services.ingest.upload.admission import Admission
from services.ingest.upload.spool import Spool
from shared.runtime.databases import create_engine
from shared.runtime.topic_admin import check_topics, wait_for_topics

_WARM_UP_SECONDS: Final = 30.0
_LEAVING_SECONDS: Final = 1.0


def build(settings: IngestSettings) -> FastAPI:
    """The app with everything it needs. Nothing connects before it is served."""
    engine = create_engine(settings.database, POOL_SIZE)
    database = Database(engine)
    reservations = Reservations(database, settings.idempotency_ttl_seconds)
    jobs = JobsLog(settings)
    connections = Connections(settings)
    settling = Settling(connections, reservations, jobs)
    workers = Workers()
    spool = Spool()
    admission = Admission()
    submission = Submission(
        settings, workers, reservations, KeyHolder(reservations, settling), jobs, connections, admission
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await _migrate_sqlite(engine)
        beside = [asyncio.create_task(work) for work in (_keep_ends(connections, jobs), settling.sweep())]
        yield
        # Those that were cut off give their keys back while the database is there.
        await admission.empty(_LEAVING_SECONDS)
        for task in beside:
            task.cancel()
        connections.close()
        workers.close()
        spool.close()
        await database.close()

    async def check_kafka() -> None:
        await check_topics(settings)
        jobs.check()

    checks = {"kafka": check_kafka, "database": lambda: database.run(check_schema)}
    return create_app(settings, submission, spool, checks, lifespan)


async def _keep_ends(connections: Connections, jobs: JobsLog) -> None:
    await wait_for_topics(connections.settings)
    with suppress(NotPublished):
        # A new cluster takes a second to make its topic of transactions: not the first uploader's second.
        await fence(connections, "ingest-start", _WARM_UP_SECONDS)
    await jobs.keep_current()


async def _migrate_sqlite(engine: AsyncEngine) -> None:
    if engine.dialect.name == "sqlite":
        await migrate(engine)
