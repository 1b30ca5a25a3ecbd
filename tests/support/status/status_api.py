"""The HTTP API on real tables, with a Kafka that is played."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from aiokafka import TopicPartition
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.commands.activation import Activation
from services.status.commands.activation_routes import activation_routes
from services.status.commands.commands import Commands
from services.status.commands.routes import command_routes
from services.status.live.first_state import Openings
from services.status.live.job_watchers import Live
from services.status.live.routes import event_stream_routes
from services.status.queries.batch_routes import batch_routes
from services.status.queries.lookup import Presence
from services.status.queries.read_database import Database
from services.status.queries.routes import Desk, api_routes
from services.status.queries.topic_ends import EndUnknown
from services.status.result_files.routes import result_file_routes
from services.status.tables.change_signal import Changes
from services.status.web.tenant import asking_tenant
from shared.contract.events import Event
from shared.runtime.problems import answer_with_problems
from shared.runtime.publisher import KafkaUnavailable
from shared.runtime.settings import ApiKey
from tests.support.status.job_histories import SETTLING_SECONDS

JOBS = "hospital.jobs"


@dataclass
class PlayedEnds:
    """A hospital.jobs of one partition that ends where the test says; None = Kafka does not answer."""

    end: int | None = 0

    def partition_of(self, _job_id: str) -> TopicPartition:
        return TopicPartition(JOBS, 0)

    def partitions(self) -> list[TopicPartition]:
        return [TopicPartition(JOBS, 0)]

    async def ends(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        if self.end is None:
            raise EndUnknown("no answer")
        return dict.fromkeys(partitions, self.end)


@dataclass
class PlayedPublisher:
    """Keeps what is sent, or is down."""

    down: bool = False
    sent: list[Event] = field(default_factory=list)
    something_sent: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, _topic: str, event: Event, _timeout: float) -> None:
        if self.down:
            raise KafkaUnavailable("no answer")
        self.sent.append(event)
        self.something_sent.set()


@dataclass
class Counter:
    """Where the answers come from, and what they depend on."""

    http: httpx.AsyncClient
    app: FastAPI
    live: Live
    ends: PlayedEnds
    publisher: PlayedPublisher
    changes: Changes
    database: Database

    async def get(self, path: str, **more: object) -> httpx.Response:
        return await self.http.get(f"/api/v1/hospitals{path}", **more)

    async def post(self, path: str, **more: object) -> httpx.Response:
        return await self.http.post(f"/api/v1/hospitals{path}", **more)

    def scope(self, path: str) -> dict[str, object]:
        """A GET as a server would hand it to the app, for tests that play the server."""
        return {
            "type": "http",
            "asgi": {"spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "path": f"/api/v1/hospitals{path}",
            "query_string": b"",
            "headers": [],
        }

    async def patch(self, path: str, **more: object) -> httpx.Response:
        return await self.http.patch(f"/api/v1/hospitals{path}", **more)


class Stand:
    """In the routes' eyes, what a test has put here."""

    now: object = None

    def __getattr__(self, name: str) -> object:
        return getattr(self.now, name)


class Routes:
    """The service's routes. Building them takes a quarter of these tests' time: one test after the other uses them."""

    def __init__(self) -> None:
        self.keys: list[ApiKey] = []
        self.database, self.presence, self.activation = Stand(), Stand(), Stand()
        self.commands, self.live, self.openings = Stand(), Stand(), Stand()
        self.app = FastAPI()
        answer_with_problems(self.app)
        tenant = asking_tenant(self.keys)
        self.app.include_router(api_routes(Desk(self.database, self.presence, tenant)))
        self.app.include_router(result_file_routes(self.database, self.presence, tenant))
        self.app.include_router(command_routes(self.commands, tenant))
        self.app.include_router(batch_routes(self.presence, tenant))
        self.app.include_router(activation_routes(self.activation, tenant))
        self.app.include_router(event_stream_routes(self.live, self.openings, self.presence, tenant))


unused: list[Routes] = []


@asynccontextmanager
async def counter(
    engine: AsyncEngine, keys: tuple[ApiKey, ...] = (), patience_seconds: float = 20.0
) -> AsyncIterator[Counter]:
    """The API over the engine's tables."""
    ends, publisher, changes, database = PlayedEnds(), PlayedPublisher(), Changes(), Database(engine)
    presence = Presence(database, ends, changes)
    live = Live(database, changes)
    routes = unused.pop() if unused else Routes()
    routes.keys[:] = keys
    routes.database.now = database
    routes.presence.now = presence
    routes.activation.now = Activation(database, presence, publisher, JOBS, changes, patience_seconds)
    routes.commands.now = Commands(presence, publisher, JOBS, SETTLING_SECONDS)
    routes.live.now = live
    routes.openings.now = Openings(database)
    app = routes.app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://status") as http:
        yield Counter(http, app, live, ends, publisher, changes, database)
    unused.append(routes)
