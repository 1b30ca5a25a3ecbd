"""How much of a partition can be deleted: decided from its records, the tables and the groups."""

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from deploy.housekeeping.needs import NOTHING_KNOWN, DatabaseMissing, Limit, Tables, limit_of, read_tables
from deploy.housekeeping.prefix import PrefixSearch, job_of
from shared.contract.topics import Topics
from shared.runtime.databases import database_url

TOPICS = Topics()
JOBS, ROWS = TopicPartition(TOPICS.jobs, 0), TopicPartition(TOPICS.rows_bulk, 0)
LIMIT = Limit(100, "status goes on there")


def record(offset, key="old", kind="JobAccepted", topic=TOPICS.jobs):
    """A record of that job."""
    headers = (("ce_type", kind.encode()),)
    return ConsumerRecord(topic, 0, offset, 0, 0, key.encode(), b"", 0, 0, 0, headers)


def kept(record):
    """Everything but the old jobs is needed."""
    return None if record.key.startswith((b"old", b"sending")) else "it is young"


def found(*records, limit=LIMIT, position=50):
    search = PrefixSearch(JOBS, 3, limit, kept)
    search.add(records)
    return search.result(position)


def test_the_prefix_ends_with_the_first_record_that_is_needed():
    """What comes behind it stays, whatever it is."""
    prefix = found(record(3), record(4, "young"), record(5))
    assert (prefix.begin, prefix.end, prefix.reason) == (3, 4, "it is young")
    assert prefix.line("deleted") == "hospital.jobs-0: deleted offsets 3 to 3; from 4 on kept: it is young"


def test_a_partition_that_nobody_needs_goes_up_to_where_it_was_read():
    """Also what is not for readers, such as the ends of transactions."""
    assert found(record(3), record(9)).end == 50


def test_nothing_goes_that_somebody_has_still_to_read():
    """Old or not."""
    assert found(record(3), record(4), record(5), limit=Limit(4, "group x goes on there")).end == 4
    assert found(record(3), limit=Limit(0, NOTHING_KNOWN)).line("deleted").startswith("hospital.jobs-0: nothing")


def test_a_pause_that_holds_is_kept():
    """A processor that starts later has to find it."""
    pause, resume = record(7, "sending", "SendingPaused"), record(8, "sending", "SendingResumed")
    assert found(record(3), pause, record(9)).end == 7
    assert found(record(3), pause, resume, record(9)).end == 50
    assert found(record(3), pause, record(9, "young")).end == 7


def test_a_row_belongs_to_the_job_in_front_of_its_number():
    """The other topics have the job as their key."""
    assert job_of(record(1, "job-7:12", topic=TOPICS.rows_bulk), TOPICS) == "job-7"
    assert job_of(record(1, "job-7"), TOPICS) == "job-7"


def test_the_lowest_of_all_limits_counts():
    """Status, every group, and uploads that are still to be settled."""
    tables = Tables(frozenset(), {JOBS: 30}, {})
    assert limit_of(JOBS, tables, [Limit(40, "group hospital-orders goes on there")], TOPICS).offset == 30
    assert limit_of(JOBS, tables, [Limit(20, "group reports goes on there")], TOPICS).offset == 20
    unsettled = Tables(frozenset(), {JOBS: 30}, {JOBS: 10})
    assert limit_of(JOBS, unsettled, [], TOPICS) == Limit(10, "an upload is still to be settled")


def test_where_status_or_the_processors_have_never_been_nothing_goes():
    """An empty answer is not a permission."""
    nothing = Tables(frozenset(), {}, {})
    assert limit_of(JOBS, nothing, [Limit(40, "group reports goes on there")], TOPICS).offset == 0
    assert limit_of(ROWS, nothing, [Limit(40, "group reports goes on there")], TOPICS).offset == 0
    assert limit_of(ROWS, nothing, [Limit(40, "group hospital-processor goes on there")], TOPICS).offset == 40


async def test_a_database_that_is_not_there_is_not_believed(tmp_path):
    """A misspelt file would be made, empty, and say that no job is needed."""
    nowhere = database_url(f"sqlite:///{tmp_path}/misspelt.db")
    with pytest.raises(DatabaseMissing, match="STATUS_DATABASE_URL"):
        await read_tables(nowhere, nowhere, TOPICS)
    assert not (tmp_path / "misspelt.db").exists()
