"""The HTTP API on real tables, with a fake Kafka, a database that a test can take away, and a clock that it can set."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import httpx
from aiokafka import TopicPartition
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.commands.activation import Activation
from services.status.commands.activation_routes import activation_routes
from services.status.commands.command_writer import CommandNotTaken, CommandUnsettled, WrittenCommand
from services.status.commands.commands import SHOWN_SECONDS, Commands
from services.status.commands.routes import command_routes
from services.status.live.first_state import FirstStates
from services.status.live.job_watchers import JobWatchers, LiveTimings
from services.status.live.routes import event_stream_routes
from services.status.queries.batch_routes import batch_routes
from services.status.queries.history_routes import history_routes
from services.status.queries.lookup import JobLookup
from services.status.queries.read_database import Question, ReadDatabase
from services.status.queries.route_dependencies import RouteDependencies
from services.status.queries.routes import api_routes
from services.status.queries.topic_ends import EndUnknown
from services.status.result_files.result_file import PageLimits
from services.status.result_files.routes import result_file_routes
from services.status.tables import stored_offsets
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.stored_offsets import Step
from services.status.web.tenant import asking_tenant
from shared.contract.events import Event, JobEvent, now
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.http.problems import answer_with_problems, database_down
from shared.runtime.kafka.publisher import KafkaUnavailable
from shared.runtime.settings import ApiKey
from tests.support.status.job_histories import SETTLING_SECONDS, apply_events, at

T = TypeVar("T")

JOBS = "hospital.jobs"
#: Queries for watchers follow one another quickly.
FAST_TIMINGS = LiveTimings(poll=0.05, pause=0.01)
#: Files of a few rows have many pages.
SMALL_PAGES = PageLimits(first_rows=3, max_rows=4, retry_seconds=0.01)

#: How long these tests wait for an answer. The service itself waits 1.7 s; that is for tests that name it.
PATIENT_SECONDS = 30.0


@dataclass
class FakeTopicEnds:
    """A hospital.jobs of one partition that ends where the test says.

    None = Kafka is down: at once, or after all of the time when it is `silent`.
    """

    end: int | None = 0
    silent: bool = False

    def partition_of(self, _job_id: str) -> TopicPartition:
        return TopicPartition(JOBS, 0)

    def partitions(self) -> list[TopicPartition]:
        return [TopicPartition(JOBS, 0)]

    async def ends(self, partitions: list[TopicPartition], seconds: float) -> dict[TopicPartition, int]:
        if self.end is None:
            await asyncio.sleep(seconds if self.silent else 0)
            raise EndUnknown("no answer")
        return dict.fromkeys(partitions, self.end)


@dataclass
class FakePublisher:
    """Keeps what is sent. While it is down every send fails: at once, or after all of its time when it is `silent`."""

    down: bool = False
    silent: bool = False
    #: Nobody knows whether what is sent stands.
    unsettled: bool = False
    sent: list[Event] = field(default_factory=list)
    something_sent: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, _topic: str, event: Event, timeout: float) -> None:
        if self.down:
            await asyncio.sleep(timeout if self.silent else 0)
            raise KafkaUnavailable("no answer")
        self.sent.append(event)
        self.something_sent.set()


class FakeCommandWriter:
    """Keeps the commands that it is given, and projects them at once, as the only replica would."""

    def __init__(self, engine: AsyncEngine, publisher: FakePublisher) -> None:
        self._engine = engine
        self._publisher = publisher
        #: Commands are taken, and projected by nobody.
        self.lagging = False
        #: Projected before the next command: what others do in the same moment.
        self.meanwhile: list[Event] = []

    async def append(self, event: JobEvent, budget: AnswerBudget) -> WrittenCommand:
        if self._publisher.unsettled:
            raise CommandUnsettled("no answer")
        try:
            await self._publisher.send(JOBS, event, budget.remaining)
        except KafkaUnavailable as error:
            raise CommandNotTaken(str(error)) from error
        partition = TopicPartition(JOBS, 0)
        if not self.lagging:
            await apply_events(self._engine, *self.meanwhile, event)
        async with self._engine.begin() as connection:
            await stored_offsets.begin(connection, {partition: 0})
            [offset] = (await stored_offsets.stored(connection, [partition])).values()
            if not self.lagging:
                await stored_offsets.advance(connection, [Step(*partition, offset, offset + 1)])
        return WrittenCommand(partition, offset)


class FakeClock:
    """The time of day: the real one until a test sets it, in seconds after noon."""

    def __init__(self) -> None:
        self._moment: datetime | None = None

    def set(self, seconds: float) -> None:
        self._moment = at(seconds)

    def __call__(self) -> datetime:
        return self._moment or now()


class SwitchableDatabase(ReadDatabase):
    """Real tables that a test can take away. Questions are numbered from 1."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.asked = 0
        self.silent = False
        self._failing: Container[int] = ()
        self._after: dict[int, Callable[[], Awaitable[None]]] = {}

    def fail(self, questions: Container[int]) -> None:
        """From now on these questions fail at once, counted anew."""
        self.asked, self._failing = 0, questions

    def after(self, question: int, act: Callable[[], Awaitable[None]]) -> None:
        """Does something between that question and the next, counted anew."""
        self.asked, self._after = 0, {question: act}

    async def read(self, question: Question[T], seconds: float) -> T:
        self.asked += 1
        number = self.asked
        if self.silent:
            await asyncio.sleep(seconds)
        if self.silent or number in self._failing:
            raise database_down()
        answer = await super().read(question, seconds)
        if act := self._after.get(number):
            await act()
        return answer


@dataclass
class ApiClient:
    """Asks the API over HTTP, and holds what the answers depend on."""

    http: httpx.AsyncClient
    app: FastAPI
    job_watchers: JobWatchers
    ends: FakeTopicEnds
    publisher: FakePublisher
    writer: FakeCommandWriter
    change_signal: ChangeSignal
    database: SwitchableDatabase
    clock: FakeClock

    async def get(self, path: str, **more: object) -> httpx.Response:
        return await self.http.get(f"/api/v1/hospitals{path}", **more)

    async def post(self, path: str, **more: object) -> httpx.Response:
        return await self.http.post(f"/api/v1/hospitals{path}", **more)

    async def patch(self, path: str, **more: object) -> httpx.Response:
        return await self.http.patch(f"/api/v1/hospitals{path}", **more)

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


class Swappable:
    """In the routes' eyes, what a test has put here."""

    current: object = None

    def __getattr__(self, name: str) -> object:
        return getattr(self.current, name)

    def __call__(self) -> object:
        return self.current()


class Routes:
    """The service's routes. Building them takes a quarter of these tests' time: one test after the other uses them."""

    def __init__(self) -> None:
        self.keys: list[ApiKey] = []
        self.answer_seconds = PATIENT_SECONDS
        self.database, self.lookup, self.clock = Swappable(), Swappable(), Swappable()
        self.activation, self.commands = Swappable(), Swappable()
        self.job_watchers, self.first_states = Swappable(), Swappable()
        self.app = FastAPI()
        answer_with_problems(self.app)
        dependencies = RouteDependencies(
            self.database, self.lookup, asking_tenant(self.keys), self.clock, self._answer_budget
        )
        self.app.include_router(api_routes(dependencies))
        self.app.include_router(result_file_routes(dependencies, SMALL_PAGES))
        self.app.include_router(command_routes(self.commands, dependencies))
        self.app.include_router(batch_routes(dependencies))
        self.app.include_router(history_routes(dependencies))
        self.app.include_router(activation_routes(self.activation, dependencies))
        self.app.include_router(event_stream_routes(self.job_watchers, self.first_states, dependencies))

    async def _answer_budget(self) -> AnswerBudget:
        return AnswerBudget(self.answer_seconds)


unused_routes: list[Routes] = []


@asynccontextmanager
async def api_client(
    engine: AsyncEngine,
    keys: tuple[ApiKey, ...] = (),
    *,
    activation_seconds: float = 20.0,
    answer_seconds: float = PATIENT_SECONDS,
    shown_seconds: float = SHOWN_SECONDS,
    timings: LiveTimings = FAST_TIMINGS,
) -> AsyncIterator[ApiClient]:
    """The API over the engine's tables."""
    ends, publisher, change_signal = FakeTopicEnds(), FakePublisher(), ChangeSignal()
    database, clock = SwitchableDatabase(engine), FakeClock()
    writer = FakeCommandWriter(engine, publisher)
    lookup = JobLookup(database, ends, change_signal)
    job_watchers = JobWatchers(database, change_signal, timings, clock)
    routes = unused_routes.pop() if unused_routes else Routes()
    routes.keys[:] = keys
    routes.answer_seconds = answer_seconds
    routes.database.current = database
    routes.lookup.current = lookup
    routes.clock.current = clock
    routes.activation.current = Activation(database, lookup, writer, change_signal, activation_seconds, clock)
    routes.commands.current = Commands(lookup, writer, SETTLING_SECONDS, clock, shown_seconds)
    routes.job_watchers.current = job_watchers
    routes.first_states.current = FirstStates(database, clock, answer_seconds)
    app = routes.app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://status") as http:
        yield ApiClient(http, app, job_watchers, ends, publisher, writer, change_signal, database, clock)
    unused_routes.append(routes)
