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
from services.status.live.first_state import FirstStates
from services.status.live.job_watchers import JobWatchers
from services.status.live.routes import event_stream_routes
from services.status.queries.batch_routes import batch_routes
from services.status.queries.lookup import JobLookup
from services.status.queries.read_database import ReadDatabase
from services.status.queries.routes import RouteDependencies, api_routes
from services.status.queries.topic_ends import EndUnknown
from services.status.result_files.routes import result_file_routes
from services.status.tables.change_signal import ChangeSignal
from services.status.web.tenant import asking_tenant
from shared.contract.events import Event
from shared.runtime.problems import answer_with_problems
from shared.runtime.publisher import KafkaUnavailable
from shared.runtime.settings import ApiKey
from tests.support.status.job_histories import SETTLING_SECONDS

JOBS = "hospital.jobs"


@dataclass
class FakeTopicEnds:
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
class FakePublisher:
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
class ApiClient:
    """Where the answers come from, and what they depend on."""

    http: httpx.AsyncClient
    app: FastAPI
    job_watchers: JobWatchers
    ends: FakeTopicEnds
    publisher: FakePublisher
    change_signal: ChangeSignal
    database: ReadDatabase

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


class Swappable:
    """In the routes' eyes, what a test has put here."""

    current: object = None

    def __getattr__(self, name: str) -> object:
        return getattr(self.current, name)


class Routes:
    """The service's routes. Building them takes a quarter of these tests' time: one test after the other uses them."""

    def __init__(self) -> None:
        self.keys: list[ApiKey] = []
        self.database, self.lookup, self.activation = Swappable(), Swappable(), Swappable()
        self.commands, self.job_watchers, self.first_states = Swappable(), Swappable(), Swappable()
        self.app = FastAPI()
        answer_with_problems(self.app)
        tenant = asking_tenant(self.keys)
        self.app.include_router(api_routes(RouteDependencies(self.database, self.lookup, tenant)))
        self.app.include_router(result_file_routes(self.database, self.lookup, tenant))
        self.app.include_router(command_routes(self.commands, tenant))
        self.app.include_router(batch_routes(self.lookup, tenant))
        self.app.include_router(activation_routes(self.activation, tenant))
        self.app.include_router(event_stream_routes(self.job_watchers, self.first_states, self.lookup, tenant))


unused_routes: list[Routes] = []


@asynccontextmanager
async def api_client(
    engine: AsyncEngine, keys: tuple[ApiKey, ...] = (), patience_seconds: float = 20.0
) -> AsyncIterator[ApiClient]:
    """The API over the engine's tables."""
    ends, publisher, change_signal, database = FakeTopicEnds(), FakePublisher(), ChangeSignal(), ReadDatabase(engine)
    lookup = JobLookup(database, ends, change_signal)
    job_watchers = JobWatchers(database, change_signal)
    routes = unused_routes.pop() if unused_routes else Routes()
    routes.keys[:] = keys
    routes.database.current = database
    routes.lookup.current = lookup
    routes.activation.current = Activation(database, lookup, publisher, JOBS, change_signal, patience_seconds)
    routes.commands.current = Commands(lookup, publisher, JOBS, SETTLING_SECONDS)
    routes.job_watchers.current = job_watchers
    routes.first_states.current = FirstStates(database)
    app = routes.app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://status") as http:
        yield ApiClient(http, app, job_watchers, ends, publisher, change_signal, database)
    unused_routes.append(routes)
