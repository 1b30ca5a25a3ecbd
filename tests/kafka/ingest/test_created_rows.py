"""What earlier jobs have created, read from a real topic of results, and found in uploads."""

import asyncio
import contextlib
import sqlite3
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete

from services.ingest.created_rows.known_rows import KnownRows
from services.ingest.created_rows.projection import CreatedRowsProjection, ProjectionTimings
from services.ingest.created_rows.results_reader import ResultsReader
from services.ingest.created_rows.store import REMEMBERED, CreatedRowsStore
from services.ingest.keys.schema_version import migrate
from services.ingest.service import Limits
from shared.contract.cloud_events import encode
from shared.contract.events import RowCreated, RowErrorCode, RowFailed, now
from shared.runtime.databases import Database, create_engine, database_url
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.topic_admin import create_missing_topics
from tests.support.ingest.ingest_process import IngestProcess
from tests.support.ingest.ingest_server import VALIDATE, ingest, ready, settings, upload
from tests.support.swallowing_proxy import SwallowingProxy
from tests.support.until import until

PARTITIONS = 3
TIMINGS = ProjectionTimings(lease=3.0, gather=0.05, retry=0.1)
FILE = b"phone,Hospital Name,address,beds\n(555) 0101,ST.  MARY,1 main st,7\n,Mercy,2 Main St,8\n"
JOB = str(uuid4())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_setting(request, tmp_path):
    """Where created rows are kept."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ingest.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
async def where(kafka_bootstrap, topic_prefix, tmp_path):
    """Topics of one test's own, which are there."""
    about = {
        "kafka_bootstrap_servers": kafka_bootstrap,
        "kafka_topic_prefix": topic_prefix,
        "kafka_topic_partitions": PARTITIONS,
    }
    await create_missing_topics(settings(tmp_path, **about))
    return about


def created(row: int, name: str, *, phone: str | None = None, job_id: str = JOB, tenant: str = "default", **more):
    """The result of a row that became a hospital."""
    facts = {"address": "1 Main St", "occurred_at": now() - timedelta(days=1)} | more
    return RowCreated(
        tenant=tenant,
        job_id=job_id,
        batch_id="b",
        row=row,
        name=name,
        phone=phone,
        attempts=1,
        started_at=facts["occurred_at"],
        hospital_id=row,
        **facts,
    )


async def send(where_, *events, partition=None):
    """Writes results as a processor does: in a transaction."""
    producer = AIOKafkaProducer(**kafka_options.producer_options(where_), transactional_id=f"test-{uuid4()}")
    async with producer, producer.transaction():
        topic = where_.topics.results
        sent = [await producer.send(topic, partition=partition, **encode(each, "t").fields()) for each in events]
        await asyncio.gather(*sent)


async def checked(client: httpx.AsyncClient, content: bytes = FILE, **params: str) -> dict:
    """The answer to a dry run."""
    return (await upload(client, content, None, path=VALIDATE, params=params)).json()


async def test_a_hospital_that_another_file_created_yesterday_is_listed(tmp_path, where, database_setting):
    """With other case, spaces and punctuation, by job and row. Not what failed, is too old, or is another tenant's."""
    about = settings(tmp_path, **where)
    old = now() - timedelta(days=31)
    await send(
        about,
        created(9, "St. Mary", phone="555-0101"),
        created(2, "Mercy", address="2 Main St", tenant="south"),
        created(3, "Mercy", address="2 Main St", occurred_at=old),
        created(4, "Mercy", address=None, columns={"name": "Mercy", "address": "2 Main St"}),
        RowFailed(
            **created(5, "Mercy", address="2 Main St").model_dump(exclude={"hospital_id", "found"}),
            code=RowErrorCode.REJECTED,
            message="no",
        ),
    )
    listed = {"count": 1, "rows": [{"row": 2, "job_id": JOB, "job_row": 9}]}
    places = {**where, "ingest_database_url": database_setting}
    engine = create_engine(database_url(database_setting))
    await migrate(engine)
    await engine.dispose()
    async with ingest(tmp_path, limits=Limits(created_rows=TIMINGS), **places) as client:
        await ready(client)
        await until("the row is known", lambda: is_known(client), 30)
        answer = await checked(client)
        assert (answer["valid"], answer["already_created"], answer["corrects"]) == (True, listed, None)
        assert answer["warnings_total"] == 0

        strict = await checked(client, strict="true")
        assert [(each["row"], each["code"]) for each in strict["errors"]] == [(2, "created_before")]
        assert JOB in strict["errors"][0]["message"]
        assert (await checked(client, strict="true", repeat_created="true"))["valid"] is True

        accepted = (await upload(client, FILE)).json()
        assert (accepted["already_created"], accepted["corrects"]) == (listed, None)
        again = (await checked(client, FILE.replace(b"ST.", b"Dr."))).get("already_created")
        assert again == {"count": 0, "rows": []}


async def is_known(client: httpx.AsyncClient) -> bool:
    """Whether a row of the file was created before."""
    return (await checked(client))["already_created"]["count"] > 0


async def test_uploads_are_answered_with_what_is_known_while_kafka_is_away(tmp_path, where):
    """A large file too, which another process reads. Readiness says that the results are not read."""
    await send(settings(tmp_path, **where), created(9, "St. Mary", phone="555-0101"))
    large = FILE + b"".join(b",Hospital %d,%d Long Main Street in a Town,\n" % (row, row) for row in range(20_000))
    async with SwallowingProxy(int(where["kafka_bootstrap_servers"].rpartition(":")[2])) as network:
        places = {**where, "kafka_bootstrap_servers": network.bootstrap}
        async with ingest(tmp_path, limits=Limits(created_rows=TIMINGS), **places) as client:
            await ready(client)
            await until("the row is known", lambda: is_known(client), 30)
            assert "detail" in (await client.get("/health/ready")).json()["dependencies"]["created_rows"]

            network.swallow()
            for content in (FILE, large):
                answer = await checked(client, content)
                assert answer["already_created"] == {"count": 1, "rows": [{"row": 2, "job_id": JOB, "job_row": 9}]}
            assert (await client.get("/health/ready")).json()["dependencies"]["created_rows"]["status"] == "ok"
            network.let_through()


def sizes(database: Path) -> int:
    """How many rows the tables hold."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT coalesce(sum(size), 0) FROM ingest_created_chunks").fetchone()[0]


async def test_each_row_counts_once_however_often_the_service_is_killed(tmp_path, where):
    """Rows and offsets are one transaction: killed between two of them, it goes on where the tables say."""
    about = settings(tmp_path, **where)
    jobs = [str(uuid4()) for _ in range(6)]
    for job_id in jobs:
        await send(about, *(created(row, f"Hospital {row}", job_id=job_id) for row in range(2, 2002)))
    process = IngestProcess(tmp_path, {name.upper(): str(value) for name, value in where.items()})
    seen = [0]
    for _ in range(3):
        await process.start()
        await until("more is known", lambda: sizes(tmp_path / "ingest.db") > seen[-1], 30)
        process.kill()
        seen.append(sizes(tmp_path / "ingest.db"))
        if seen[-1] == len(jobs) * 2000:
            break
    await process.start()
    await until("all is known", lambda: sizes(tmp_path / "ingest.db") >= len(jobs) * 2000, 60)
    await send(about, created(7, "The last"))
    await until("the last one is known", lambda: sizes(tmp_path / "ingest.db") > len(jobs) * 2000, 30)
    process.terminate()

    assert seen[1] < len(jobs) * 2000, "it was never killed in the middle"
    assert sizes(tmp_path / "ingest.db") == len(jobs) * 2000 + 1


class Replica:
    """A projection of its own on a database."""

    def __init__(self, about, url: str, *, is_alone: bool = True, clock=now, timings=TIMINGS):
        self.database = Database(create_engine(database_url(url)), 5)
        self.store = CreatedRowsStore(self.database, is_alone=is_alone, now=clock)
        self.known = KnownRows(self.store, fresh_seconds=0)
        self.projection = CreatedRowsProjection(about, self.store, at_once, timings)
        self.running: asyncio.Task[None] | None = None

    async def __aenter__(self):
        self.running = asyncio.create_task(self.projection.run())
        return self

    async def __aexit__(self, *_):
        self.running.cancel()
        await asyncio.wait({self.running})
        await self.database.close()

    async def size(self) -> int:
        """How many rows of the open tenant are known."""
        return len(await self.known.of("default", 5))


async def at_once() -> None:
    """The topics are there."""


async def test_two_replicas_that_read_at_once_count_each_row_once(tmp_path, where, postgres_url):
    """Neither waits for the other here: the database alone keeps them apart."""
    about = settings(tmp_path, **where)
    engine = create_engine(database_url(postgres_url))
    await migrate(engine)
    await engine.dispose()
    await send(about, *(created(row, f"Hospital {row}") for row in range(2, 5002)))
    async with Replica(about, postgres_url) as one, Replica(about, postgres_url) as other:
        for more in range(5):
            await send(about, *(created(6000 + 100 * more + row, f"More {row}") for row in range(100)))
        await until("all is known", lambda: holds(one, 5500), 60)
        await until("all is known", lambda: holds(other, 5500), 60)


async def holds(replica: Replica, rows: int) -> bool:
    """Whether so many are known; never more."""
    found = await replica.size()
    assert found <= rows
    return found == rows


async def test_one_of_two_replicas_reads_until_it_ends(tmp_path, where, postgres_url):
    """Then the other does, at once."""
    about = settings(tmp_path, **where)
    engine = create_engine(database_url(postgres_url))
    await migrate(engine)
    await engine.dispose()
    timings = ProjectionTimings(lease=300, gather=0.05, retry=0.1)
    async with Replica(about, postgres_url, is_alone=False, timings=timings) as one:
        await send(about, created(2, "St. Mary"))
        await until("it is known", lambda: holds(one, 1), 30)
        async with Replica(about, postgres_url, is_alone=False, timings=timings) as other:
            await until("it waits", lambda: says(other, "another replica reads"), 30)
            await one.__aexit__()
            await send(about, created(3, "Mercy"))
            await until("the other reads", lambda: holds(other, 2), 30)


async def says(replica: Replica, words: str) -> bool:
    """Whether readiness says so."""
    return await replica.projection.state() == words


@pytest.fixture
async def sqlite_url(tmp_path):
    """A database with tables."""
    url = f"sqlite:///{tmp_path / 'rows.db'}"
    engine = create_engine(database_url(url))
    await migrate(engine)
    await engine.dispose()
    return url


async def test_deleted_results_are_passed_by_and_a_topic_that_was_made_anew_is_read_from_its_beginning(
    tmp_path, where, sqlite_url
):
    """What is known of a deleted beginning stays true. Another topic is another history."""
    about = settings(tmp_path, **where)
    topic = TopicPartition(about.topics.results, 0)
    await send(about, *(created(row, f"Hospital {row}") for row in range(2, 102)), partition=0)
    async with Replica(about, sqlite_url) as replica:
        await until("all is known", lambda: holds(replica, 100), 30)

    async with admin(about) as client:
        await send(about, *(created(row, f"Hospital {row}") for row in range(102, 112)), partition=0)
        await client.delete_records({topic: RecordsToDelete(before_offset=106)})
        async with Replica(about, sqlite_url) as replica:
            await until("the rest is known", lambda: holds(replica, 105), 30)

        await client.delete_topics([topic.topic])
        await until("it is gone", lambda: is_missing(client, topic.topic), 30)
        await client.create_topics([NewTopic(topic.topic, PARTITIONS, 1)])
        await until("it is back", lambda: is_there(client, topic.topic), 30)
    await send(about, created(2, "St. Mary"), partition=0)
    async with Replica(about, sqlite_url) as replica:
        await until("only the new one is known", lambda: is_size(replica, 1), 30)


@contextlib.asynccontextmanager
async def admin(about):
    """A client that may change topics."""
    client = kafka_options.admin_client(about)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def is_missing(client, topic: str) -> bool:
    """Whether there is no such topic."""
    return topic not in await client.list_topics()


async def is_there(client, topic: str) -> bool:
    """Whether there is such a topic."""
    return topic in await client.list_topics()


async def is_size(replica: Replica, rows: int) -> bool:
    """Whether so many are known."""
    return await replica.size() == rows


async def test_another_kafka_beside_a_kept_database_is_read_from_its_beginning(tmp_path, where, sqlite_url):
    """Its cluster has another id, whatever its offsets are."""
    about = settings(tmp_path, **where)
    database = Database(create_engine(database_url(sqlite_url)), 5)
    store = CreatedRowsStore(database, is_alone=True)
    progress = await store.begin_anew(await store.take("a", timedelta(seconds=1)), "another cluster")
    await store.write(progress, [], {0: 3}, timedelta(seconds=1))
    await database.close()
    await send(about, *(created(row, f"Hospital {row}") for row in range(2, 12)), partition=0)

    async with Replica(about, sqlite_url) as replica:
        await until("all is known", lambda: holds(replica, 10), 30)


async def test_only_what_is_not_too_old_is_read_at_the_first_start(tmp_path, where, sqlite_url):
    """A topic that is kept for ever is not read from its beginning: the clock is a year ahead here."""
    about = settings(tmp_path, **where)
    await send(about, *(created(row, f"Hospital {row}") for row in range(2, 12)), partition=0)
    later = now() + timedelta(days=365)
    # As soon as Kafka has ended their transaction, which it does after it has answered.
    await until("it begins behind the old ones", lambda: begins_at(about, later - REMEMBERED, 10), 30)
    async with Replica(about, sqlite_url, clock=lambda: later) as replica:
        await until("it is there", lambda: says(replica, "up to date"), 30)
        await send(about, created(3, "Later", occurred_at=later), partition=0)
        await until("the later one is known", lambda: holds(replica, 1), 30)


async def begins_at(about, oldest, offset: int) -> bool:
    """Whether a first start reads partition 0 from this offset on, or behind it."""
    reader = ResultsReader(about)
    try:
        await reader.start({}, oldest)
        return (await reader.reached())[0] >= offset
    finally:
        await reader.stop()
