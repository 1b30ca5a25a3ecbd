"""From which offset on each partition is still needed, from databases and consumer groups."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka import TopicPartition
from sqlalchemy import URL, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.keys import tables as ingest
from services.status.tables import definitions as status
from services.status.tables.schema_version import check_schema
from shared.contract.topics import Topics
from shared.runtime.databases import create_engine
from shared.runtime.kafka import kafka_options
from shared.runtime.settings import KafkaSettings

NOTHING_KNOWN: Final = "nobody has read it yet"


class DatabaseMissing(RuntimeError):
    """The database file does not exist. A new, empty one would say that no job is needed."""


@dataclass(frozen=True, slots=True, order=True)
class Limit:
    """From this offset on a partition is needed; `reason` says by whom."""

    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tables:
    """What the housekeeping reads from the services' tables."""

    #: The jobs in status' tables: unfinished, or not yet old enough to be deleted.
    job_ids: frozenset[str]
    offsets: dict[TopicPartition, int]
    #: Where ingest has to read to settle uploads whose outcome is unknown.
    reservations: dict[TopicPartition, int]


async def read_tables(status_url: URL, ingest_url: URL, topics: Topics) -> Tables:
    """Reads both databases. Raises DatabaseMissing, SchemaOutdated, SQLAlchemyError or OSError."""
    _check_files(STATUS_DATABASE_URL=status_url, INGEST_DATABASE_URL=ingest_url)
    reservations = await _reservations(ingest_url, topics)
    engine = create_engine(status_url)
    try:
        await check_schema(engine)
        async with engine.connect() as connection:
            # The offsets first: a job that is projected in between is then kept, never missed.
            offsets = await connection.execute(select(status.offsets))
            at = {TopicPartition(topic, partition): offset for topic, partition, offset in offsets}
            return Tables(await _job_ids(connection), at, reservations)
    finally:
        await engine.dispose()


def _check_files(**urls: URL) -> None:
    for name, url in urls.items():
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            raise DatabaseMissing(f"{name}: there is no file {url.database}")


async def _job_ids(connection: AsyncConnection) -> frozenset[str]:
    return frozenset((await connection.execute(select(status.jobs.c.job_id))).scalars())


async def _reservations(url: URL, topics: Topics) -> dict[TopicPartition, int]:
    table = ingest.reservations
    engine = create_engine(url)
    try:
        async with engine.connect() as connection:
            unsettled = select(table.c.jobs_partition, table.c.jobs_offset).where(table.c.expires_at.is_(None))
            found = list(await connection.execute(unsettled))
    finally:
        await engine.dispose()
    lowest: dict[TopicPartition, int] = {}
    for partition, offset in found:
        at = TopicPartition(topics.jobs, partition)
        lowest[at] = min(offset, lowest.get(at, offset))
    return lowest


async def read_groups(settings: KafkaSettings, wanted: Collection[TopicPartition]) -> dict[TopicPartition, list[Limit]]:
    """The committed offsets of every consumer group of the cluster, by partition. Raises KafkaError."""
    client = kafka_options.admin_client(settings)
    found: dict[TopicPartition, list[Limit]] = {at: [] for at in wanted}
    try:
        await client.start()
        for group, *_ in await client.list_consumer_groups():
            for at, commit in (await client.list_consumer_group_offsets(group)).items():
                if at in found and commit.offset >= 0:
                    found[at].append(Limit(commit.offset, f"group {group} goes on there"))
    finally:
        await client.close()
    return found


def limit_of(at: TopicPartition, tables: Tables, groups: Iterable[Limit], topics: Topics) -> Limit:
    """The first offset that somebody may still read.

    Processors read rows, status reads results and jobs. Where they have not read yet, everything is needed.
    """
    limits = list(groups)
    if at.topic in topics.rows:
        if not any(topics.group("processor") in limit.reason.split() for limit in limits):
            limits.append(Limit(0, NOTHING_KNOWN))
    elif at in tables.offsets:
        limits.append(Limit(tables.offsets[at], "status goes on there"))
    else:
        limits.append(Limit(0, NOTHING_KNOWN))
    if at in tables.reservations:
        limits.append(Limit(tables.reservations[at], "an upload is still to be settled"))
    return min(limits)
