"""The topics as the design names them."""

import pytest

from shared.contract.topics import MAX_MESSAGE_BYTES, Topics

TOPICS = Topics()
LOSE_NOTHING = {
    "hospital.rows.express",
    "hospital.rows.bulk",
    "hospital.results",
    "hospital.jobs",
    "hospital.dead-letters",
}


def test_the_topics_are_those_of_the_contract():
    """Other teams consume them by these names."""
    assert {topic.name for topic in TOPICS.all()} == LOSE_NOTHING | {"hospital.processors"}
    assert TOPICS.rows == ("hospital.rows.express", "hospital.rows.bulk")


def test_nothing_that_is_work_is_ever_deleted():
    """A million rows at thirty a minute take 23 days; Kafka's default deletes after seven."""
    for topic in TOPICS.all():
        if topic.name in LOSE_NOTHING:
            assert topic.config["retention.ms"] == "-1"
            assert topic.config["retention.bytes"] == "-1"
            assert topic.config["cleanup.policy"] == "delete", "compaction would keep one result a job"


def test_only_the_reports_of_processors_are_compacted():
    """The last report of each is all that anybody wants."""
    compacted = [topic.name for topic in TOPICS.all() if topic.config["cleanup.policy"] == "compact"]
    assert compacted == ["hospital.processors"]


@pytest.mark.parametrize("partitions", [1, 6, 12])
def test_rows_results_and_jobs_have_the_same_number_of_partitions(partitions):
    """One owner has the same index of all of them."""
    counts = {topic.name: topic.partitions for topic in Topics(partitions=partitions).all()}
    assert {counts[name] for name in LOSE_NOTHING - {"hospital.dead-letters"}} == {partitions}


def test_every_topic_takes_records_of_the_size_that_consumers_fetch():
    """A larger record would be skipped with only a log line."""
    assert {topic.config["max.message.bytes"] for topic in TOPICS.all()} == {str(MAX_MESSAGE_BYTES)}


def test_a_prefix_goes_in_front_of_every_name_that_a_cluster_sees():
    """Two installations on one cluster share nothing."""
    ours = Topics("clinic-a.")
    assert all(topic.name.startswith("clinic-a.hospital.") for topic in ours.all())
    assert ours.group("processor") == "clinic-a.hospital-processor"
    assert ours.transactional_id("processor-3") == "clinic-a.processor-3"
    assert not {topic.name for topic in ours.all()} & {topic.name for topic in TOPICS.all()}
