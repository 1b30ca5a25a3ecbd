"""Databases for the projection: each test that asks for `engine` runs on SQLite and on PostgreSQL."""

import shutil

import pytest
from sse_starlette.sse import AppStatus

from services.status.tables.schema_version import migrate
from shared.runtime.databases import create_engine, database_url
from tests.support.servers import in_a_thread, some_database


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """A file with empty tables, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "status.db"
    in_a_thread(migrated(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server):
    """The name of a database with empty tables, to be copied."""
    with some_database(postgres_server) as url:
        in_a_thread(migrated(url))
        yield url.rpartition("/")[2]


async def migrated(url):
    """Makes the tables, and leaves no connection."""
    engine = create_engine(database_url(url))
    await migrate(engine)
    await engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    """An engine on empty tables."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def sqlite(migrated_sqlite, tmp_path):
    """An engine on empty tables, for what does not depend on the database."""
    shutil.copy(migrated_sqlite, tmp_path / "status.db")
    engine = create_engine(database_url(f"sqlite:///{tmp_path}/status.db"))
    yield engine
    await engine.dispose()


@pytest.fixture
async def postgresql(postgres_server, migrated_postgres):
    """The same on PostgreSQL."""
    with some_database(postgres_server, migrated_postgres) as url:
        engine = create_engine(database_url(url))
        yield engine
        await engine.dispose()


@pytest.fixture(autouse=True)
def no_server_has_been_asked_to_stop(monkeypatch):
    """A test that sends this process a SIGTERM would end the event streams of all tests after it."""
    monkeypatch.setattr(AppStatus, "should_exit", False)
