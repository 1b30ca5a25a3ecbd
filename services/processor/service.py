"""The processor, put together: the engine, and beside it HTTP for health, readiness and metrics."""

import asyncio
import socket
from dataclasses import dataclass

from fastapi import FastAPI

from services.processor.engine import Engine
from services.processor.settings import ProcessorSettings
from shared.runtime.http.head import HeadAnswers
from shared.runtime.http.health import health_routes
from shared.runtime.http.http_server import serve
from shared.runtime.http.openapi import describe
from shared.runtime.http.problems import answer_with_problems
from shared.runtime.kafka.topic_admin import check_topics


@dataclass(frozen=True, slots=True)
class Service:
    """One processor with its HTTP."""

    engine: Engine
    app: FastAPI

    async def run(self, listening: socket.socket) -> None:
        """Processes rows until SIGTERM or SIGINT, then hands its lanes over. Raises what broke the engine."""
        async with asyncio.TaskGroup() as tasks:
            processing = tasks.create_task(self.engine.run())
            await serve(self.app, listening)
            processing.cancel()


def build(settings: ProcessorSettings) -> Service:
    """Everything it needs; nothing connects before it runs.

    Readiness: `kafka` when every topic is as it has to be, `lanes` when none has stopped; with a rate limit also
    `rate_slots` when the topic is read that says who may use them.
    """
    engine = Engine(settings)
    app = FastAPI(title="Hospital bulk: processor", docs_url="/docs")
    checks = {"kafka": lambda: check_topics(settings), "lanes": engine.lane_consumer.check_lanes}
    if settings.rate_limit_requests:
        checks["rate_slots"] = engine.report_reader.check
    app.include_router(health_routes(checks, engine.liveness.check))
    answer_with_problems(app)
    app.add_middleware(HeadAnswers)
    describe(app, keys_in_use=False)
    return Service(engine, app)
