"""Keys in the database, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update

from services.ingest.created_rows.tables import created_chunks
from services.ingest.keys.reservations import (
    Abandoned,
    Answered,
    Free,
    InProgress,
    KeyedRequest,
    OtherRequest,
    Reservation,
    Reservations,
)
from services.ingest.keys.schema_version import check_schema, migrate
from services.ingest.keys.tables import accepted_files, metadata
from shared.contract.events import now
from shared.runtime.databases import Database, DatabaseDown, create_engine, database_url
from shared.runtime.schema_versions import SchemaOutdated

REQUEST = KeyedRequest("north", "key-1", "abc:False")


class Clock:
    """The time in UTC, which a test may set forward."""

    def __init__(self) -> None:
        self._start = now()
        self.later = timedelta(0)

    def __call__(self) -> datetime:
        """The time."""
        return self._start + self.later


def reservation(request: KeyedRequest = REQUEST, file_sha256: str = "ab" * 32) -> Reservation:
    """A reservation of a job of its own."""
    return Reservation(request, str(uuid4()), file_sha256, "a.csv", 3, 17, b'{"job_id": 1}', now())


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(request: pytest.FixtureRequest, tmp_path) -> AsyncIterator[object]:
    """A database without tables."""
    url = f"sqlite:///{tmp_path / 'i.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = create_engine(database_url(url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def database(engine) -> Database:
    """A database with the tables of today."""
    await migrate(engine)
    return Database(engine, 10)


@pytest.fixture
def clock() -> Clock:
    """The reservations' clock."""
    return Clock()


@pytest.fixture
async def reservations(database, clock) -> Reservations:
    """Keys whose answers are kept for five minutes."""
    return Reservations(database, 300, clock)


async def test_a_key_is_free_until_it_is_reserved(reservations):
    """Then it is in progress."""
    assert await reservations.look_up(REQUEST) == Free()
    assert await reservations.reserve(reservation())
    assert await reservations.look_up(REQUEST) == InProgress()


async def test_of_many_at_once_one_gets_the_key(reservations):
    """Whoever comes later gets nothing."""
    taken = await asyncio.gather(*(reservations.reserve(reservation()) for _ in range(10)))

    assert sorted(taken) == [False] * 9 + [True]


async def test_an_accepted_job_is_the_answer_from_then_on(reservations):
    """Byte for byte."""
    first = reservation()
    await reservations.reserve(first)
    await reservations.accept(first)

    assert await reservations.look_up(REQUEST) == Answered(first.answer, first.job_id)


async def test_keys_belong_to_one_tenant(reservations):
    """Two tenants may choose the same."""
    await reservations.reserve(reservation())

    assert await reservations.look_up(replace(REQUEST, tenant="south")) == Free()
    assert await reservations.reserve(reservation(replace(REQUEST, tenant="south")))


@pytest.mark.parametrize("answered", [True, False])
async def test_another_file_with_the_same_key_is_another_request(reservations, answered):
    """Whether the first was answered or not."""
    first = reservation()
    await reservations.reserve(first)
    if answered:
        await reservations.accept(first)

    assert await reservations.look_up(replace(REQUEST, fingerprint="other")) == OtherRequest()


async def test_an_answer_is_forgotten_when_its_time_is_over(database):
    """The key is free then, though nobody has cleaned up."""
    reservations = Reservations(database, 0.0)
    first = reservation()
    await reservations.reserve(first)
    await reservations.accept(first)

    assert await reservations.look_up(REQUEST) == Free()
    assert await reservations.reserve(reservation())


async def test_time_to_live_begins_with_the_answer(reservations, clock):
    """A reservation never expires unresolved, however long its job takes."""
    first = reservation()
    await reservations.reserve(first)
    clock.later = timedelta(hours=5)

    assert isinstance(await reservations.look_up(REQUEST), Abandoned)
    await reservations.delete_expired()
    await reservations.accept(first)
    assert isinstance(await reservations.look_up(REQUEST), Answered)


async def test_a_lease_that_is_not_renewed_makes_it_abandoned(reservations, clock):
    """And a renewed one does not."""
    first = reservation()
    await reservations.reserve(first)
    clock.later = timedelta(seconds=14)
    assert await reservations.look_up(REQUEST) == InProgress()
    assert await reservations.renew(first.job_id)
    clock.later = timedelta(seconds=28)
    assert await reservations.look_up(REQUEST) == InProgress()
    clock.later = timedelta(seconds=30)

    assert await reservations.look_up(REQUEST) == Abandoned(first)
    assert await reservations.abandoned() == [first]


async def test_an_unknown_outcome_is_abandoned_at_once(reservations):
    """Nobody has to wait for the lease."""
    first = reservation()
    await reservations.reserve(first)
    await reservations.abandon(first.job_id)

    assert await reservations.look_up(REQUEST) == Abandoned(first)


async def test_an_abandoned_key_is_settled_before_another_request_is_judged(reservations):
    """It may turn out to be free."""
    first = reservation()
    await reservations.reserve(first)
    await reservations.abandon(first.job_id)

    assert await reservations.look_up(replace(REQUEST, fingerprint="other")) == Abandoned(first)


async def test_a_freed_key_is_free(reservations):
    """A 503 never burns it."""
    first = reservation()
    await reservations.reserve(first)
    await reservations.free(first.job_id)

    assert await reservations.look_up(REQUEST) == Free()


async def test_what_was_accepted_cannot_be_freed(reservations):
    """Settling twice is settling once."""
    first = reservation()
    await reservations.reserve(first)
    await reservations.accept(first)
    await reservations.accept(first)
    await reservations.free(first.job_id)

    assert isinstance(await reservations.look_up(REQUEST), Answered)
    assert not await reservations.renew(first.job_id)


async def test_freeing_one_job_leaves_the_next_with_the_same_key_alone(reservations):
    """A late settler frees its own job only."""
    first, second = reservation(), reservation()
    await reservations.reserve(first)
    await reservations.free(first.job_id)
    await reservations.reserve(second)
    await reservations.free(first.job_id)

    assert await reservations.look_up(REQUEST) == InProgress()


async def test_the_same_file_is_remembered_per_tenant_newest_first(reservations, database):
    """For thirty days, then forgotten."""
    jobs = [reservation(replace(REQUEST, key=f"k{number}")) for number in range(3)]
    for number, job in enumerate(jobs):
        await reservations.reserve(job)
        await reservations.accept(replace(job, reserved_at=now() - timedelta(days=number)))
    aged = update(accepted_files).where(accepted_files.c.job_id == jobs[1].job_id)
    await database.run(lambda connection: connection.execute(aged.values(created_at=now() - timedelta(days=31))), 5)

    found = await reservations.same_files("north", jobs[0].file_sha256)

    assert [same.job_id for same in found] == [jobs[0].job_id, jobs[2].job_id]
    assert found[0].created_at.tzinfo is not None
    assert await reservations.same_files("south", jobs[0].file_sha256) == []
    await reservations.delete_expired()
    assert len(await reservations.same_files("north", jobs[0].file_sha256)) == 2


async def test_the_migrations_make_the_tables_that_the_code_uses(engine):
    """Column by column."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    assert created_chunks.metadata is metadata
    await migrate(engine)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda bare: compare_metadata(
                MigrationContext.configure(bare, opts={"version_table": "ingest_alembic_version"}), metadata
            )
        )

    assert differences == []


async def test_old_tables_are_not_ready(engine):
    """Readiness says which command to run."""
    async with engine.connect() as connection:
        with pytest.raises(SchemaOutdated, match=r"python -m services\.ingest migrate"):
            await connection.run_sync(check_schema)

    await migrate(engine)
    await migrate(engine)
    async with engine.connect() as connection:
        await connection.run_sync(check_schema)


async def test_a_database_without_tables_counts_as_down(engine):
    """PostgreSQL is never migrated by the service itself."""
    with pytest.raises(DatabaseDown):
        await Reservations(Database(engine, 10), 300).look_up(REQUEST)
