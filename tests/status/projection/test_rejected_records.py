"""A record that the database refuses is put aside, and keeps no other from being projected."""

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from services.status.projection.decoding import Decoder
from services.status.projection.rejected_records import project_records
from services.status.tables import stored_offsets
from services.status.tables.definitions import rows
from services.status.tables.stored_offsets import Step
from shared.contract.cloud_events import encode
from shared.contract.events import RowErrorCode
from shared.contract.topics import Topics
from tests.support.status.job_histories import JobHistory

TOPICS = Topics()
RESULTS, JOBS = TopicPartition(TOPICS.results, 0), TopicPartition(TOPICS.jobs, 0)
HISTORY = JobHistory(total=50)
#: What a new version of a database, or one that was set up by hand, may refuse although every check lets it pass.
REFUSES_POISON = {
    "sqlite": "CREATE TRIGGER refuses BEFORE INSERT ON status_rows WHEN NEW.name = 'poison' "
    "BEGIN SELECT RAISE(ABORT, 'refused'); END",
    "postgresql": "ALTER TABLE status_rows ADD CONSTRAINT refuses CHECK (name <> 'poison')",
}


class RecordingDeadLetters:
    """Keeps what it is given."""

    def __init__(self):
        self.offsets = []
        self.reasons = []

    async def put(self, record, reason):
        self.offsets.append(record.offset)
        self.reasons.append(reason)


def record(event, offset, at=RESULTS):
    encoded = encode(event, "test")
    return ConsumerRecord(
        at.topic, at.partition, offset, 1_700_000_000_000, 0, encoded.key, encoded.value, None, 0, 0,
        tuple(encoded.headers),
    )  # fmt: skip


def renamed(event):
    """The event, so that the database refuses it."""
    return event.model_copy(update={"name": "poison"})


@pytest.fixture
async def picky(engine):
    """A database that refuses rows of a certain name, with offsets from which the projection goes on."""
    async with engine.begin() as connection:
        await connection.exec_driver_sql(REFUSES_POISON[engine.dialect.name])
        await stored_offsets.begin(connection, {RESULTS: 2, JOBS: 0})
    return engine


async def projected(engine, records, reached):
    """Projects the records; returns the dead letters."""
    dead_letters = RecordingDeadLetters()
    decoder = Decoder(TOPICS, dead_letters)
    steps = [Step(*RESULTS, 2, reached), Step(*JOBS, 0, 1)]
    await project_records(engine, decoder, steps, records, await decoder.decode(records))
    async with engine.connect() as connection:
        assert await stored_offsets.stored(connection, [RESULTS, JOBS]) == {RESULTS: reached, JOBS: 1}
    return dead_letters


async def stored(engine):
    """Row numbers by whether the row failed as unreadable."""
    async with engine.connect() as connection:
        found = list(await connection.execute(select(rows.c.row, rows.c.error_code).order_by(rows.c.row)))
    readable = [row for row, code in found if code is None]
    return readable, [row for row, code in found if code == RowErrorCode.UNDECODABLE]


@pytest.mark.parametrize("bad", [[2], [51], [20, 21, 44], list(range(2, 52, 7))])
async def test_every_other_record_is_projected_and_the_refused_rows_fail(picky, bad):
    """So each job ends. Offsets behind the last record, which are never delivered, are passed too."""
    events = [renamed(HISTORY.created(row)) if row in bad else HISTORY.created(row) for row in range(2, 52)]
    records = [record(HISTORY.accepted(), 0, JOBS), *(record(event, event.row) for event in events)]
    dead_letters = await projected(picky, records, 60)
    assert dead_letters.offsets == bad
    assert all("database refuses it" in reason and "poison" not in reason for reason in dead_letters.reasons)
    assert await stored(picky) == ([row for row in range(2, 52) if row not in bad], bad)


async def test_a_record_that_could_not_be_decoded_has_one_dead_letter_though_the_batch_is_divided(picky):
    """It is decoded again and again meanwhile."""
    headers = tuple(encode(HISTORY.created(3), "test").headers)
    broken = ConsumerRecord(*RESULTS, 3, 0, 0, b"job-1", b"{", None, 0, 0, headers)
    poison = record(renamed(HISTORY.created(4)), 4)
    good = [record(HISTORY.created(row), row) for row in (2, 5, 6)]
    dead_letters = await projected(picky, [good[0], broken, poison, *good[1:]], 7)
    assert dead_letters.offsets == [3, 4]
    assert await stored(picky) == ([2, 5, 6], [3, 4])


async def test_a_database_that_is_away_is_waited_for(picky):
    """It refuses nothing: no record is put aside, and the error goes to whoever waits."""
    dead_letters = RecordingDeadLetters()
    decoder = Decoder(TOPICS, dead_letters)
    records = [record(HISTORY.created(2), 2)]
    batch = await decoder.decode(records)
    async with picky.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE status_rows RENAME TO elsewhere")
    with pytest.raises(Exception, match="status_rows") as raised:
        await project_records(picky, decoder, [Step(*RESULTS, 2, 3)], records, batch)
    assert isinstance(raised.value, OperationalError) or raised.value.orig.sqlstate == "42P01"
    assert dead_letters.offsets == []
