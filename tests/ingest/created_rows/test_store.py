"""Created rows in the database, on SQLite and on PostgreSQL: twice is once, and what is too old is forgotten."""

import asyncio
import resource
import signal
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.ingest.created_rows.chunks import CHUNK_ROWS, HashedRow, tenant_key
from services.ingest.created_rows.known_rows import KnownRows
from services.ingest.created_rows.store import CreatedRowsStore, ProgressMoved
from services.ingest.keys.schema_version import migrate
from services.ingest.row_matching.created_before import CreatedRow
from services.ingest.row_matching.duplicates import RowHash
from shared.runtime.databases import Database, create_engine, database_url

LEASE = timedelta(seconds=15)
JOB, OTHER_JOB = str(uuid4()), str(uuid4())


class Clock:
    """The time in UTC, and seconds that never go back."""

    def __init__(self):
        self.now = datetime(2026, 11, 29, tzinfo=UTC)

    def __call__(self):
        """The time."""
        return self.now

    def seconds(self):
        """The same in seconds."""
        return self.now.timestamp()


@pytest.fixture
def clock():
    """The clock of stores and caches."""
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request, tmp_path):
    """A database with tables."""
    url = f"sqlite:///{tmp_path / 'i.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = create_engine(database_url(url))
    await migrate(engine)
    database = Database(engine, 10)
    yield database
    await database.close()


@pytest.fixture
def store(database, clock):
    """A store of one of several replicas."""
    return CreatedRowsStore(database, is_alone=False, now=clock)


def known(store, clock, **options):
    """A replica's memory, which is always brought up to date."""
    return KnownRows(store, fresh_seconds=0, clock=clock.seconds, **options)


def rows(store, clock, numbers, job_id=JOB, tenant="north"):
    """Rows that were created now, each with its number as hash."""
    return [HashedRow(tenant, job_id, number, number, clock()) for number in numbers]


async def found(known_rows, numbers, tenant="north"):
    """The numbers that the tenant has created, with job and row."""
    index = await known_rows.of(tenant, 5)
    return {number: at for number in numbers if (at := index.find(number))}


async def test_rows_are_known_with_their_job_and_row_to_their_tenant_alone(store, clock):
    """Two tenants have keys of their own, too."""
    taken = await store.take("a", LEASE)
    await store.write(taken, rows(store, clock, range(2, 3000)), {0: 7}, LEASE)
    memory = known(store, clock)

    assert await found(memory, [1, 2, 2999, 3000]) == {2: CreatedRow(JOB, 2), 2999: CreatedRow(JOB, 2999)}
    assert await found(memory, [2], tenant="south") == {}
    keys = {(await memory.of(tenant, 5)).key for tenant in ("north", "south")}
    assert keys == {tenant_key(taken.secret, tenant) for tenant in ("north", "south")}


async def test_rows_that_come_later_are_known_too(store, clock):
    """A chunk that has grown is read again, and counts once."""
    progress = await store.take("a", LEASE)
    memory = known(store, clock)
    for begin in range(2, 2000, 400):
        progress = await store.write(progress, rows(store, clock, range(begin, begin + 400)), {0: begin}, LEASE)
        assert len(await found(memory, [begin, begin + 399])) == 2

    assert len(memory) == 2000
    page = await store.page("north", 0, 10)
    assert [chunk.size for chunk in page.chunks] == [CHUNK_ROWS, 2000 - CHUNK_ROWS]
    assert (await store.progress()).offsets == {0: 1602}


async def test_of_two_replicas_that_have_read_the_same_one_is_too_late(store, clock, database):
    """Compare and set: nothing of the other's is stored, neither rows nor offsets."""
    other = CreatedRowsStore(database, is_alone=False, now=clock)
    progress = await store.take("a", LEASE)
    some = rows(store, clock, range(2, 12))

    written = await asyncio.gather(
        store.write(progress, some, {0: 10}, LEASE),
        other.write(progress, some, {0: 10}, LEASE),
        return_exceptions=True,
    )

    assert sorted(type(each).__name__ for each in written) == ["Progress", "ProgressMoved"]
    assert sum(chunk.size for chunk in (await store.page("north", 0, 10)).chunks) == 10


async def test_the_others_leave_it_to_one_replica_until_its_lease_has_ended(store, clock):
    """Or until it says so; a process that has the database for itself waits for nobody."""
    first = await store.take("a", LEASE)
    assert await store.take("b", LEASE) is None
    assert await store.take("a", LEASE)
    clock.now += LEASE
    second = await store.take("b", LEASE)
    assert second.reader == "b"
    with pytest.raises(ProgressMoved):
        await store.write(first, [], {0: 1}, LEASE)
    await store.release(second)
    assert await store.take("a", LEASE)


async def test_what_was_created_more_than_thirty_days_ago_is_not_known(store, clock):
    """Neither in a memory that is new, nor in one that knew it, and the tables do not keep it."""
    progress = await store.take("a", LEASE)
    progress = await store.write(progress, rows(store, clock, [2]), {0: 1}, LEASE)
    clock.now += timedelta(days=2)
    await store.write(progress, rows(store, clock, [3], OTHER_JOB), {0: 2}, LEASE)
    memory = known(store, clock)
    clock.now += timedelta(days=27, hours=23)
    assert len(await found(memory, [2, 3])) == 2

    clock.now += timedelta(hours=2, seconds=1)

    assert await found(memory, [2, 3]) == {3: CreatedRow(OTHER_JOB, 3)}
    assert await found(known(store, clock), [2, 3]) == {3: CreatedRow(OTHER_JOB, 3)}
    await store.delete_expired()
    clock.now -= timedelta(days=20)
    assert [chunk.job_id for chunk in (await store.page("north", 0, 10)).chunks] == [OTHER_JOB]


async def test_rows_of_one_job_expire_with_those_of_their_day(store, clock):
    """A retry weeks later does not keep the first round's rows."""
    progress = await store.take("a", LEASE)
    progress = await store.write(progress, rows(store, clock, [2]), {0: 1}, LEASE)
    clock.now += timedelta(days=20)
    await store.write(progress, rows(store, clock, [3]), {0: 2}, LEASE)
    clock.now += timedelta(days=11)

    assert await found(known(store, clock), [2, 3]) == {3: CreatedRow(JOB, 3)}


async def test_another_kafka_begins_anew(store, clock):
    """Rows and offsets of the other are forgotten, also by those who had them in memory."""
    progress = await store.take("a", LEASE)
    progress = await store.write(progress, rows(store, clock, [2]), {0: 1}, LEASE)
    memory = known(store, clock)
    assert await found(memory, [2])

    begun = await store.begin_anew(progress, "other")

    assert (begun.cluster, begun.offsets, begun.secret) == ("other", {}, progress.secret)
    assert await found(memory, [2]) == {}
    await store.write(begun, rows(store, clock, [3]), {0: 1}, LEASE)
    assert await found(memory, [2, 3]) == {3: CreatedRow(JOB, 3)}


async def test_memory_is_bounded(store, clock):
    """Of a tenant with too many the newest are known; tenants that were not asked for lately are read again."""
    progress = await store.take("a", LEASE)
    for job_id, tenant in ((JOB, "north"), (OTHER_JOB, "south")):
        for begin in range(2, 5 * CHUNK_ROWS, CHUNK_ROWS):
            some = rows(store, clock, range(begin, begin + CHUNK_ROWS), job_id, tenant)
            progress = await store.write(progress, some, {0: 1}, LEASE)
    memory = known(store, clock, most_rows=3 * CHUNK_ROWS)

    for tenant in ("north", "south", "north"):
        assert set(await found(memory, [2, 5 * CHUNK_ROWS], tenant)) == {5 * CHUNK_ROWS}
        assert len(memory) == 3 * CHUNK_ROWS


async def test_what_is_known_stays_known_while_the_database_is_away(store, clock, database):
    """And nothing is known of who was not asked for before."""
    progress = await store.take("a", LEASE)
    await store.write(progress, rows(store, clock, [2]), {0: 1}, LEASE)
    memory = known(store, clock)
    assert await found(memory, [2])

    await database.close()

    assert await found(memory, [2])
    assert await found(memory, [2], tenant="south") == {}


async def test_an_upload_in_a_file_has_what_is_known(store, clock, tmp_path):
    """Rows that are added while it is written come next time."""
    progress = await store.take("a", LEASE)
    memory = known(store, clock)
    assert not len(await memory.saved("north", 5, tmp_path / "none"))
    progress = await store.write(progress, rows(store, clock, range(2, 3000)), {0: 1}, LEASE)

    saved = await asyncio.gather(*(memory.saved("north", 5, tmp_path / str(number)) for number in range(5)))

    assert all(file.find(2999) == CreatedRow(JOB, 2999) for file in saved)


async def test_uploads_share_a_file_of_what_is_known(store, clock, tmp_path):
    """Until more is known. The files of others stay when one upload has ended."""
    progress = await store.write(await store.take("a", LEASE), rows(store, clock, range(2, 300)), {0: 1}, LEASE)
    memory = known(store, clock)
    first, second = [await memory.saved("north", 5, tmp_path / name) for name in ("first", "second")]
    assert first.path.samefile(second.path)
    first.path.unlink()
    third = await memory.saved("north", 5, tmp_path / "third")
    assert third.path.samefile(second.path)
    second.path.unlink()
    third.path.unlink()
    assert (await memory.saved("north", 5, tmp_path / "fourth")).find(299) == CreatedRow(JOB, 299)

    await store.write(progress, rows(store, clock, [300]), {0: 2}, LEASE)
    assert (await memory.saved("north", 5, tmp_path / "fifth")).find(300) == CreatedRow(JOB, 300)


async def test_a_file_that_cannot_be_written_is_none(store, clock, tmp_path):
    """An upload is not refused because of it. The rows are not locked afterwards."""
    await store.write(await store.take("a", LEASE), rows(store, clock, range(2, 300)), {0: 1}, LEASE)
    memory = known(store, clock)
    assert not len(await memory.saved("north", 5, tmp_path / "no folder" / "file"))
    with capped_files(1_000):
        assert not len(await memory.saved("north", 5, tmp_path / "too large"))
    assert not (tmp_path / "too large").exists()
    assert (await memory.saved("north", 5, tmp_path / "file")).find(299)


async def test_a_file_that_takes_too_long_is_not_waited_for(store, clock, tmp_path):
    """A disk that hangs holds up no upload; the next has its file when there is time."""
    await store.write(await store.take("a", LEASE), rows(store, clock, range(2, 300)), {0: 1}, LEASE)
    memory = known(store, clock)
    assert await found(memory, [2])
    for name in ("late", "late too"):
        assert not len(await memory.saved("north", 0, tmp_path / name))
    assert (await memory.saved("north", 5, tmp_path / "after")).find(299)


@contextmanager
def capped_files(size):
    """No file of this process grows over so many bytes: writing more fails as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_the_key_of_a_tenant_makes_other_hashes():
    """So whoever sees the tables of two tenants cannot tell whether they have a hospital in common."""
    hospital = ("St. Mary", "1 Main St", None)
    assert len({RowHash(tenant_key(b"secret", tenant)).of(*hospital) for tenant in ("north", "south")}) == 2
