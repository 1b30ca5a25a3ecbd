"""The tables' versions, on both databases, with the tables of both services that have some."""

import asyncio
import sys
from asyncio.subprocess import PIPE

import pytest
from sqlalchemy import event, inspect

from services.ingest.keys.schema_version import versions as ingest
from services.status.tables.schema_version import versions as status
from shared.runtime.databases import create_engine, database_url

MIGRATING = """
import asyncio, sys
from services.status.tables.schema_version import migrate
from shared.runtime.databases import create_engine, database_url

async def main(url):
    engine = create_engine(database_url(url))
    async with engine.connect():
        print("ready", flush=True)
    sys.stdin.readline()
    await migrate(engine)
    await engine.dispose()

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """An empty database."""
    return f"sqlite:///{tmp_path}/some.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
async def engine(url):
    """An engine on it."""
    engine = create_engine(database_url(url))
    yield engine
    await engine.dispose()


async def version(engine, versions):
    async with engine.connect() as connection:
        return await connection.run_sync(versions.check)


async def tables(engine):
    async with engine.connect() as connection:
        return await connection.run_sync(lambda bare: inspect(bare).get_table_names())


async def test_both_services_may_use_one_database_and_migrating_twice_is_migrating_once(engine):
    """Every start on SQLite does it again."""
    for versions in (ingest, status, ingest, status):
        await versions.migrate(engine)
    assert await version(engine, ingest) == ingest.newest
    assert await version(engine, status) == status.newest


@pytest.mark.parametrize("versions", [ingest, status], ids=["ingest", "status"])
async def test_a_migration_that_is_cut_off_has_done_nothing(engine, versions):
    """Else the next would find half of its tables, and fail for ever."""
    made = 0

    def power_cut(_connection, _cursor, statement, *_):
        nonlocal made
        made += "CREATE TABLE" in statement
        if made == 2:
            raise KeyboardInterrupt

    event.listen(engine.sync_engine, "after_cursor_execute", power_cut)
    with pytest.raises(KeyboardInterrupt):
        await versions.migrate(engine)
    event.remove(engine.sync_engine, "after_cursor_execute", power_cut)
    assert await tables(engine) == []
    await versions.migrate(engine)
    assert await version(engine, versions) == versions.newest


async def test_of_processes_that_migrate_at_once_each_finds_its_tables_afterwards(engine, url):
    """A service that starts, and beside it a rebuild, or a second replica's `migrate`."""
    arguments = [sys.executable, "-c", MIGRATING, url]
    processes = [await asyncio.create_subprocess_exec(*arguments, stdin=PIPE, stdout=PIPE) for _ in range(2)]
    for process in processes:
        assert await process.stdout.readline() == b"ready\n"
    ended = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert ended == [(b"", None)] * 2
    assert [process.returncode for process in processes] == [0, 0]
    assert await version(engine, status) == status.newest
