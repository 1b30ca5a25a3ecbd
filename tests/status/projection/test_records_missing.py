"""Records that were deleted before they were projected: answers are not to be wrong in silence."""

import asyncio

import httpx
import pytest
from aiokafka import TopicPartition
from fastapi import FastAPI
from sqlalchemy import update

from services.status.caller_priority import NO_CALLERS
from services.status.metrics import STOPPED
from services.status.projection import projector as projector_module
from services.status.projection.positions import Positions
from services.status.projection.projector import Projector
from services.status.projection.reader import RecordsMissing
from services.status.tables import stored_offsets
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.definitions import offsets
from shared.runtime.health import health_routes
from shared.runtime.settings import KafkaSettings
from tests.support.until import until

RESULTS = TopicPartition("hospital.results", 3)


@pytest.fixture
async def projector(sqlite, monkeypatch):
    """One that finds its records gone as long as the tables say that offset 40 comes next."""
    monkeypatch.setattr(projector_module, "_LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(projector_module, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(projector_module, "wait_for_topics", lambda _: asyncio.sleep(0))
    async with sqlite.begin() as connection:
        await stored_offsets.begin(connection, {RESULTS: 40})
    projector = Projector(KafkaSettings(), sqlite, None, Positions(), ChangeSignal(), NO_CALLERS)
    projector.begun = []

    async def consume():
        async with sqlite.connect() as connection:
            at = (await stored_offsets.stored(connection, [RESULTS]))[RESULTS]
        projector.begun.append(at)
        if at == 40:
            raise RecordsMissing({RESULTS: at})
        projector._last_error = None
        await asyncio.Event().wait()

    projector._consume = consume
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


async def test_readiness_says_what_is_missing_and_what_to_do(projector):
    """Where, and with which command; and nobody reads on."""
    await until("it has found out", lambda: "Kafka" in (projector._last_error or ""), 20)
    await asyncio.sleep(0.1)
    answer = await ready(projector)
    assert answer.status_code == 503
    assert "hospital.results-3 at 40" in answer.text
    assert "Run python -m services.status rebuild" in answer.text
    assert projector.begun == [40]
    assert STOPPED._value.get() == 1


async def test_it_goes_on_by_itself_when_the_tables_were_made_again(projector, sqlite):
    """A rebuild moves the offsets to what there is: no restart is needed."""
    await until("it has found out", lambda: projector.begun == [40], 20)
    async with sqlite.begin() as connection:
        await connection.execute(update(offsets).values(next_offset=5_000))
    await until("it reads again", lambda: projector.begun == [40, 5_000], 20)
    assert (await ready(projector)).status_code == 200
    assert STOPPED._value.get() == 0
