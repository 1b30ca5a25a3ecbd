"""Puts the service together: the projection, what it does to finished jobs, retries, and the HTTP API."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.caller_priority import CallerPriority
from services.status.commands.activation import Activation
from services.status.commands.activation_routes import activation_routes
from services.status.commands.command_writer import CommandWriter
from services.status.commands.commands import Commands
from services.status.commands.retry_consumer import RetryConsumer
from services.status.commands.routes import command_routes
from services.status.lifecycle.due_commands import DueCommands
from services.status.lifecycle.finishing import Finishing
from services.status.lifecycle.matching import Matching
from services.status.lifecycle.retention import Retention
from services.status.live.first_state import FirstStates
from services.status.live.job_watchers import JobWatchers
from services.status.live.routes import event_stream_routes
from services.status.metrics import JOBS
from services.status.model.job_state import JobStatus
from services.status.projection.decoding import DeadLetterTopic, Decoder
from services.status.projection.positions import Positions
from services.status.projection.projector import Projector
from services.status.queries import job_queries
from services.status.queries.batch_routes import batch_routes
from services.status.queries.history_routes import history_routes
from services.status.queries.job_summaries import job_answer
from services.status.queries.lookup import JobLookup
from services.status.queries.read_database import CONNECTIONS, ReadDatabase
from services.status.queries.route_dependencies import RouteDependencies
from services.status.queries.routes import api_routes
from services.status.queries.schemas import WITH_EXAMPLES
from services.status.queries.topic_ends import TopicEnds
from services.status.result_files.routes import result_file_routes
from services.status.settings import StatusSettings
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.schema_version import check_schema, migrate
from services.status.web.asyncapi_routes import asyncapi_routes
from services.status.web.openapi import DESCRIPTION, TAGS
from services.status.web.page_files import PageMount
from services.status.web.session_routes import session_routes
from services.status.web.tenant import asking_tenant
from services.status.webhooks.deliveries import Deliveries
from services.status.webhooks.job_ends import JobEnds
from services.status.webhooks.job_statuses import JobStatuses
from services.status.webhooks.receiver import HttpReceiver
from services.status.webhooks.webhook_consumer import WebhookConsumer
from shared.contract.events import now
from shared.runtime.databases import create_engine
from shared.runtime.http.head import HeadAnswers
from shared.runtime.http.health import health_routes
from shared.runtime.http.openapi import describe, model_schemas
from shared.runtime.http.problems import answer_with_problems
from shared.runtime.http.small_bodies import BODY_SECONDS, SmallBodies
from shared.runtime.kafka.publisher import Publisher
from shared.runtime.kafka.topic_admin import check_topics

log = structlog.get_logger(__name__)

_COUNT_SECONDS: Final = 10.0


def build(settings: StatusSettings, body_seconds: float = BODY_SECONDS) -> FastAPI:
    """The service as an ASGI app. It connects when it is started, and stops when that ends.

    `body_seconds`: how long a request's body may take.
    """
    topics = settings.topics
    # Readers have connections of their own, so that they never wait for the projection.
    writing, reading = create_engine(settings.url, pool_size=5), create_engine(settings.url, CONNECTIONS, reading=True)
    positions, change_signal, priority = Positions(), ChangeSignal(), CallerPriority()
    publisher, writer, ends = Publisher(settings, "status"), CommandWriter(settings), TopicEnds(settings)
    dead_letters = DeadLetterTopic(publisher, topics.dead_letters)
    decoder = Decoder(topics, dead_letters, priority)
    projector = Projector(settings, writing, decoder, positions, change_signal, priority)
    finishing = Finishing(writing, publisher, topics.jobs, positions, change_signal)
    due_commands = DueCommands(writing, publisher, topics.jobs, positions, change_signal, settings.settling_seconds)
    matching = Matching(writing, topics.jobs, positions, change_signal)
    retry_consumer = RetryConsumer(settings, writing)
    retention = Retention(
        writing, positions, topics.jobs, lambda job_id: ends.partition_of(job_id).partition, settings.job_retention_days
    )
    database = ReadDatabase(reading, priority)
    lookup = JobLookup(database, ends, change_signal)
    job_watchers = JobWatchers(database, change_signal)
    activation = Activation(database, lookup, writer, change_signal)
    commands = Commands(lookup, writer, settings.settling_seconds)
    job_ends, receiver = JobEnds(database, change_signal, now), HttpReceiver()
    deliveries = Deliveries(
        settings.webhook_addresses,
        settings.webhook_key,
        JobStatuses(database, now),
        job_ends,
        receiver,
        dead_letters,
        now,
    )
    webhooks = WebhookConsumer(settings, deliveries)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if settings.url.get_backend_name() == "sqlite":
            await migrate(writing)
        work = (
            projector.run(),
            finishing.run(),
            due_commands.run(),
            matching.run(),
            retry_consumer.run(),
            retention.run(),
            publisher.warm_up(),
            writer.warm_up(),
            job_watchers.run(),
            *((webhooks.run(), job_ends.run()) if settings.webhook_addresses else ()),
        )
        warming = database.warm_up(lambda connection: job_answer(connection, None, "", now()))
        async with _running(*work, warming, count_jobs(writing)):
            yield
        closing = (publisher.close(), writer.close(), ends.close(), receiver.close())
        await asyncio.gather(*closing, writing.dispose(), database.close())

    app = FastAPI(
        title="Hospital bulk: status",
        description=DESCRIPTION,
        version="1",
        openapi_tags=TAGS,
        lifespan=lifespan,
    )
    answer_with_problems(app)
    app.add_middleware(HeadAnswers)
    app.add_middleware(SmallBodies, seconds=body_seconds)
    dependencies = RouteDependencies(database, lookup, asking_tenant(settings.tenants))
    app.include_router(api_routes(dependencies))
    app.include_router(result_file_routes(dependencies))
    app.include_router(command_routes(commands, dependencies))
    app.include_router(batch_routes(dependencies))
    app.include_router(history_routes(dependencies))
    app.include_router(activation_routes(activation, dependencies))
    app.include_router(event_stream_routes(job_watchers, FirstStates(database), dependencies))
    app.include_router(session_routes(settings.tenants))
    checks = {
        "database": lambda: check_schema(writing),
        "kafka": lambda: check_topics(settings),
        "projection": projector.check,
        "orders": retry_consumer.check,
    }
    app.include_router(health_routes(checks))
    app.include_router(asyncapi_routes(topics))
    app.router.routes.append(PageMount())
    describe(app, keys_in_use=bool(settings.tenants), schemas=model_schemas(*WITH_EXAMPLES))
    return app


@asynccontextmanager
async def _running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs all of it beside the body, and stops it with the body."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def count_jobs(engine: AsyncEngine, poll_seconds: float = _COUNT_SECONDS) -> None:
    """Keeps the number of jobs in each state up to date for /metrics, until cancelled."""
    while True:
        try:
            with contextlib.suppress(SQLAlchemyError, OSError):
                async with engine.connect() as connection:
                    counts = await connection.run_sync(job_queries.status_counts, now())
                for status in JobStatus:
                    JOBS.labels(status.value).set(counts.get(status.value, 0))
        except Exception as error:  # a bug, or a driver's own error, must not end the work in silence
            log.error("count_jobs_fault", exc_info=error)
        await asyncio.sleep(poll_seconds)
