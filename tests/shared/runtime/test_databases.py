"""SQL databases by URL."""

import asyncio
import threading

import pytest
from sqlalchemy import text

from shared.runtime.databases import create_engine, database_url

SOME_COUNTING = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT max(i) FROM n"


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///jobs.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:///jobs.db", "sqlite+aiosqlite"),
        ("postgres://user@host/jobs", "postgresql+asyncpg"),
        ("postgresql://user@host/jobs", "postgresql+asyncpg"),
        ("postgresql+psycopg://user@host/jobs", "postgresql+asyncpg"),
    ],
)
def test_the_driver_is_ours_whatever_the_url_says(given, driver):
    """Operators copy URLs from other tools."""
    url = database_url(given)
    assert url.drivername == driver
    assert url.database.startswith("jobs")


def test_the_tls_mode_of_other_tools_is_understood():
    """asyncpg calls `sslmode` `ssl`, and refuses the other name."""
    url = database_url("postgresql://user@host/jobs?sslmode=require&application_name=status")
    assert dict(url.query) == {"ssl": "require", "application_name": "status"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("mysql://user:hunter2@host/jobs", "mysql is not supported"),
        ("hunter2", "is not a database URL"),
        ("", "is not"),
    ],
)
def test_anything_else_is_refused_without_its_password(given, words):
    """The message ends up in a log."""
    with pytest.raises(ValueError, match=words) as refused:
        database_url(given)
    assert "hunter2" not in str(refused.value)


async def test_sqlite_survives_a_power_cut_and_waits_for_locks(tmp_path):
    """What was committed is on the disk; a second process is patient."""
    engine = create_engine(database_url(f"sqlite:///{tmp_path}/jobs.db"))
    async with engine.connect() as connection:
        found = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    await engine.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000, "foreign_keys": 1}


async def test_an_engine_connects_only_when_it_is_used():
    """So a service starts, and answers 503, while its database is down."""
    engine = create_engine(database_url("postgresql://user@127.0.0.1:1/jobs"), pool_size=3)
    assert engine.pool.size() == 3
    assert engine.pool.checkedin() == 0
    await engine.dispose()


@pytest.mark.parametrize("cancellations", [1, 2, 3])
def test_a_query_that_is_cut_off_at_the_end_of_a_process_does_not_hold_it_up(tmp_path, cancellations):
    """The loop's end cancels what was cancelled before, while SQLite still counts."""

    async def work() -> None:
        engine = create_engine(database_url(f"sqlite:///{tmp_path}/jobs.db"))
        counting = asyncio.create_task(count(engine))
        await asyncio.sleep(0.1)
        for _ in range(cancellations - 1):
            counting.cancel()
            await asyncio.sleep(0.01)

    async def count(engine) -> None:
        async with engine.connect() as connection:
            await connection.execute(text(SOME_COUNTING))

    ending = threading.Thread(target=asyncio.run, args=(work(),), daemon=True)
    ending.start()
    ending.join(20)
    assert not ending.is_alive()
