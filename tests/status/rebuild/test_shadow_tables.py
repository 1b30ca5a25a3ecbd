"""Tables made beside those in use, and how they take their place."""

import pytest
from aiokafka import TopicPartition
from sqlalchemy import inspect

from services.status.projection.transaction import project
from services.status.rebuild.shadow_tables import AlreadyRebuilding, offsets_of, shadow_tables
from services.status.tables import stored_offsets
from services.status.tables.schema_version import check_schema, migrate, versions
from services.status.tables.stored_offsets import OffsetsMoved, Step
from tests.support.status.job_histories import JobHistory, apply_events, contents, event_batch

RESULTS = TopicPartition("hospital.results", 0)
OLD, NEW = JobHistory(job_id="old"), JobHistory(job_id="new")


async def begin(engine, offset):
    async with engine.begin() as connection:
        await stored_offsets.begin(connection, {RESULTS: offset})


async def job_ids(engine):
    return [row[0] for row in (await contents(engine))["status_jobs"]]


async def nothing_to_catch_up(_known):
    pass


@pytest.fixture
async def used(engine):
    """Tables that are in use, a few records on."""
    await apply_events(engine, OLD.accepted(), OLD.created(2))
    await begin(engine, 7)
    return engine


async def test_the_new_tables_are_as_if_they_had_always_been_there(used):
    """Rows, offsets, version and indexes; and the projection goes on in them."""
    indexes = await used_indexes(used)
    async with shadow_tables(used.url) as shadow:
        await migrate(shadow.engine)
        await apply_events(shadow.engine, NEW.accepted(), NEW.created(2))
        await begin(shadow.engine, 9)
        made = await contents(shadow.engine)
        assert await job_ids(used) == ["old"], "the old ones answer until the new ones are complete"
        await shadow.replace(nothing_to_catch_up)
    assert await contents(used) == made
    assert await offsets_of(used) == {RESULTS: 9}
    assert await check_schema(used) == versions.newest
    assert await used_indexes(used) == indexes
    await project(used, [Step(*RESULTS, 9, 10)], event_batch(NEW.created(3)))


async def used_indexes(engine):
    """The names of all indexes."""

    def names(connection):
        found = inspect(connection)
        return {index["name"] for table in found.get_table_names() for index in found.get_indexes(table)}

    async with engine.connect() as connection:
        return await connection.run_sync(names)


async def test_a_replica_that_was_elsewhere_finds_its_offset_moved(used):
    """It asks the tables again, and goes on from what they say."""
    async with shadow_tables(used.url) as shadow:
        await migrate(shadow.engine)
        await begin(shadow.engine, 9)
        await shadow.replace(nothing_to_catch_up)
    with pytest.raises(OffsetsMoved):
        await project(used, [Step(*RESULTS, 7, 8)], event_batch(OLD.created(3)))


async def test_the_new_tables_are_brought_as_far_as_the_old_ones_before_they_replace_them(used):
    """What was projected meanwhile would be missing else: nobody reads it again."""
    asked = []

    async with shadow_tables(used.url) as shadow:
        await migrate(shadow.engine)
        await begin(shadow.engine, 5)
        await project(used, [Step(*RESULTS, 7, 8)], event_batch(OLD.created(3)))

        async def catch_up(known):
            asked.append(known)
            await project(shadow.engine, [Step(*RESULTS, 5, 8)], event_batch(NEW.created(2)))

        await shadow.replace(catch_up)
    assert asked == [{RESULTS: 8}]
    assert await offsets_of(used) == {RESULTS: 8}


async def test_what_fails_before_the_end_changes_nothing(used):
    """And the next one begins with empty tables."""
    before = await contents(used)

    async def fails(_known):
        raise ConnectionError("Kafka is away")

    async with shadow_tables(used.url) as shadow:
        await migrate(shadow.engine)
        await apply_events(shadow.engine, NEW.accepted())
        with pytest.raises(ConnectionError):
            await shadow.replace(fails)
    assert await contents(used) == before
    async with shadow_tables(used.url) as shadow:
        await migrate(shadow.engine)
        assert await job_ids(shadow.engine) == []


async def test_only_one_at_a_time(used):
    """Two would work in the same place."""
    async with shadow_tables(used.url):
        with pytest.raises(AlreadyRebuilding):
            async with shadow_tables(used.url):
                pass
    async with shadow_tables(used.url):
        pass
