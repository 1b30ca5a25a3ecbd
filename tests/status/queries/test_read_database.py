"""How the tables are asked: whole questions, on connections that can break."""

import threading

import pytest
from sqlalchemy import insert, select, text

from services.status.queries.read_database import CONNECTIONS, ReadDatabase
from services.status.tables.definitions import processors
from shared.runtime.databases import create_engine, database_url
from shared.runtime.http.problems import Problem

#: Ends them, as a restart does.
ALL_OTHERS = text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
SECONDS = 10.0
ONE = {"instance": "a", "occurred_at": 0, "report": "{}"}


@pytest.fixture
async def database(engine):
    """Either database, as the service asks it."""
    reading = ReadDatabase(create_engine(engine.url, 2, reading=True))
    yield reading
    await reading.close()


def one_and_two(connection):
    """Two statements, and where they ran."""
    first = connection.execute(text("SELECT 1")).scalar_one()
    return first, connection.execute(select(2)).scalar_one(), threading.current_thread()


async def test_a_question_may_have_several_statements(database):
    """They are answered one after the other."""
    assert (await database.read(one_and_two, SECONDS))[:2] == (1, 2)


async def test_sqlite_is_asked_in_a_thread(sqlite):
    """All of a question, so that no statement waits for a busy event loop."""
    database = ReadDatabase(sqlite)
    *_, thread = await database.read(one_and_two, SECONDS)
    await database.close()
    assert thread is not threading.main_thread()


async def test_nothing_is_written_by_a_question_to_sqlite(sqlite):
    """SQLite itself refuses."""
    database = ReadDatabase(sqlite)
    with pytest.raises(Problem, match="database is currently down"):
        await database.read(lambda connection: connection.execute(insert(processors).values(ONE)), SECONDS)
    await database.close()


async def test_a_restart_of_postgresql_is_not_seen_by_those_who_ask(postgresql):
    """Its connections are tried by being used; a broken one makes the question be asked once more."""
    database = ReadDatabase(create_engine(postgresql.url, 2, reading=True))
    await database.read(one_and_two, SECONDS)
    async with postgresql.connect() as connection:
        assert (await connection.execute(ALL_OTHERS)).scalar_one() >= 1
    assert (await database.read(one_and_two, SECONDS))[:2] == (1, 2)
    await database.close()


async def test_callers_find_open_connections(postgresql):
    """To open one takes longer than an answer may, while the projection works."""
    database = ReadDatabase(create_engine(postgresql.url, CONNECTIONS, reading=True))
    await database.warm_up(one_and_two)
    assert database.statements.pool.checkedin() == CONNECTIONS
    await database.close()


async def test_a_database_that_is_away_does_not_keep_the_service_from_starting(tmp_path):
    """Connections are opened when it is back."""
    database = ReadDatabase(create_engine(database_url(f"sqlite:///{tmp_path}/missing/status.db"), reading=True))
    await database.warm_up(one_and_two)
    await database.close()
