"""SQL databases by URL."""

import asyncio
import threading

import pytest
from sqlalchemy import text

from shared.runtime.databases import Database, DatabaseDown, create_engine, database_url

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


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request, tmp_path):
    """A database with an empty table `notes`."""
    url = f"sqlite:///{tmp_path}/notes.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    database = Database(create_engine(database_url(url)), connections=2)
    await database.run(lambda connection: connection.execute(text("CREATE TABLE notes (word TEXT)")), 10)
    yield database
    await database.close()


def words(connection):
    """What stands in the table."""
    return [word for (word,) in connection.execute(text("SELECT word FROM notes ORDER BY word"))]


def write(word, error=None):
    """A transaction that writes a word, and then fails if it is told to."""

    def work(connection):
        connection.execute(text("INSERT INTO notes VALUES (:word)"), {"word": word})
        if error:
            raise error
        return word

    return work


async def test_what_a_transaction_wrote_stays_when_it_returns(database):
    """And what it returns is handed on; many at once wait for their turn."""
    assert await asyncio.gather(*(database.run(write(word), 10) for word in "abcde")) == list("abcde")
    assert await database.run(words, 10) == list("abcde")


async def test_what_a_transaction_wrote_is_gone_when_it_raises(database):
    """The error is the caller's own."""
    with pytest.raises(KeyError):
        await database.run(write("a", KeyError("a")), 10)
    assert await database.run(words, 10) == []


async def test_a_database_that_takes_too_long_is_down(database):
    """The caller is told in time, whatever the database does."""
    query = SOME_COUNTING.replace("3000000", "300000000")
    if database.statements.dialect.name == "postgresql":
        query = "SELECT pg_sleep(60)"
    with pytest.raises(DatabaseDown):
        await database.run(lambda connection: connection.execute(text("SELECT 1 FROM nowhere")), 10)
    async with asyncio.timeout(5):
        with pytest.raises(DatabaseDown, match=r"no answer within 0\.2 s"):
            await database.run(lambda connection: connection.execute(text(query)).all(), 0.2)


async def test_an_error_does_not_show_what_a_statement_was_given(database):
    """It ends up in a log, and the statement was about a hospital."""
    with pytest.raises(DatabaseDown) as down:
        await database.run(
            lambda connection: connection.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": "St. Mary"}), 10
        )
    assert "St. Mary" not in str(down.value) + str(down.value.__cause__)
