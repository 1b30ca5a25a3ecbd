"""Databases for the projection: each test that asks for `engine` runs on SQLite and on PostgreSQL."""

import pytest
from sse_starlette.sse import AppStatus

from services.status import job_answers, job_queries, watched_jobs
from services.status.schema import migrate
from shared.databases import create_engine, database_url
from tests.status.histories import at


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(request, tmp_path):
    """An engine on empty tables."""
    url = f"sqlite:///{tmp_path}/status.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = create_engine(database_url(url))
    await migrate(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
async def sqlite(tmp_path):
    """An engine on empty tables, for what does not depend on the database."""
    engine = create_engine(database_url(f"sqlite:///{tmp_path}/status.db"))
    await migrate(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
def clock(monkeypatch):
    """Sets what time the answers think it is, in seconds after noon."""

    def set_to(seconds):
        for module in (job_answers, job_queries, watched_jobs):
            monkeypatch.setattr(module, "now", lambda: at(seconds))

    return set_to


@pytest.fixture(autouse=True)
def no_server_has_been_asked_to_stop(monkeypatch):
    """A test that sends this process a SIGTERM would end the event streams of all tests after it."""
    monkeypatch.setattr(AppStatus, "should_exit", False)
