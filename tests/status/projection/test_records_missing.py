"""Records that were deleted before they were projected: answers are not to be wrong in silence."""

import asyncio

import httpx
import pytest
from aiokafka import TopicPartition
from fastapi import FastAPI
from sqlalchemy import update

from services.status.metrics import STOPPED
from services.status.projection.decoding import Decoder
from services.status.projection.positions import Positions
from services.status.projection.projector import Projector, ProjectorTimings
from services.status.projection.reader import Reading, RecordsMissing
from services.status.tables import stored_offsets
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.definitions import offsets
from shared.contract.topics import Topics
from shared.runtime.http.health import health_routes
from shared.runtime.settings import KafkaSettings
from tests.support.until import until

RESULTS = TopicPartition("hospital.results", 3)


class FakeReader:
    """Finds its records gone as long as the tables say that offset 40 comes next; else it has nothing to read."""

    def __init__(self, engine, begun):
        self._engine = engine
        self._begun = begun
        self._has_read = False

    async def start(self):
        async with self._engine.connect() as connection:
            at = (await stored_offsets.stored(connection, [RESULTS]))[RESULTS]
        self._begun.append(at)
        if at == 40:
            raise RecordsMissing({RESULTS: at})

    async def read(self):
        if self._has_read:
            await asyncio.Event().wait()
        self._has_read = True
        return Reading([], [])

    def committed(self, _reading):
        pass

    async def commit_to_group(self):
        pass

    async def stop(self):
        pass


async def at_once(_settings):
    """Kafka has all topics."""


@pytest.fixture
def begun():
    """The offsets from which the projection has begun so far."""
    return []


@pytest.fixture
async def projector(sqlite, begun):
    """A projection that runs."""
    async with sqlite.begin() as connection:
        await stored_offsets.begin(connection, {RESULTS: 40})
    projector = Projector(
        KafkaSettings(),
        sqlite,
        Decoder(Topics(), None),
        Positions(),
        ChangeSignal(),
        make_reader=lambda *_: FakeReader(sqlite, begun),
        topics_ready=at_once,
        timings=ProjectorTimings(retry=0.01, rebuild_poll=0.01),
    )
    running = asyncio.create_task(projector.run())
    yield projector
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def ready(projector):
    """What somebody on call sees."""
    app = FastAPI()
    app.include_router(health_routes({"projection": projector.check}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://status") as http:
        return await http.get("/health/ready")


async def test_readiness_says_what_is_missing_and_what_to_do(projector, begun):
    """Where, and with which command; and nobody reads on."""

    async def is_said():
        return "Kafka" in (await ready(projector)).text

    await until("it has found out", is_said, 20)
    await asyncio.sleep(0.1)
    answer = await ready(projector)
    assert answer.status_code == 503
    assert "hospital.results-3 at 40" in answer.text
    assert "Run python -m services.status rebuild" in answer.text
    assert begun == [40]
    assert STOPPED._value.get() == 1


async def test_it_goes_on_by_itself_when_the_tables_were_made_again(projector, begun, sqlite):
    """A rebuild moves the offsets to what there is: no restart is needed."""
    await until("it has found out", lambda: begun == [40], 20)
    async with sqlite.begin() as connection:
        await connection.execute(update(offsets).values(next_offset=5_000))
    await until("it reads again", lambda: begun == [40, 5_000], 20)

    async def is_ready():
        return (await ready(projector)).status_code == 200

    await until("it is ready", is_ready, 20)
    assert STOPPED._value.get() == 0
