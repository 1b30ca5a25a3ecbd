"""The example consumers in three languages read what is on the topics, and see what is wrong with it."""

import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

import shared.contract
from deploy.asyncapi.channels import guides
from shared.contract.cloud_events import encode
from shared.contract.events import EVENT_TYPES
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.topic_admin import wait_for_topics
from shared.runtime.settings import KafkaSettings
from tests.support.example_consumers import COMMANDS, NotHere, consume

EXAMPLES = Path(shared.contract.__file__).parent / "examples"


def example(name):
    """The record of an event's example."""
    return encode(EVENT_TYPES[name].model_validate_json((EXAMPLES / f"{name}.json").read_text("utf-8")), "tests")


def renamed(record, **headers):
    """The record with other headers; None takes one away."""
    kept = {**dict(record.headers), **headers}
    return list({name: value for name, value in kept.items() if value is not None}.items())


@pytest.mark.parametrize("language", COMMANDS)
async def test_every_kind_of_record_is_checked_and_counted(kafka_bootstrap, topic_prefix, language):
    """Each event once or again; ids that clash, broken values, unknown types; and nothing of aborted transactions."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=2
    )
    topics = settings.topics
    await wait_for_topics(settings)
    created = example("RowCreated")
    async with AIOKafkaProducer(
        **kafka_options.producer_options(settings), transactional_id=f"{topic_prefix}t"
    ) as kafka:

        async def write(topic, record, **changed):
            await kafka.send(topic, **record.fields() | changed)

        async with kafka.transaction():
            events = [(topic, event.__name__) for topic, guide in guides(topics).items() for event in guide.events]
            for topic, name in events:
                await write(topic, example(name))  # RowAccepted is on both topics of rows: a repeat
            await write(topics.jobs, example("JobFinished"))
            await write(
                topics.jobs, example("JobAccepted"), headers=renamed(created, ce_type=b"Odd", ce_dataschema=None)
            )
            await write(topics.results, created, value=b"{")
            await write(topics.results, created, value=json.dumps({"version": 1}).encode())
            clash = example("RowFailed")
            await write(topics.results, clash, headers=renamed(clash, ce_id=dict(created.headers)["ce_id"]))
            old = renamed(created, ce_dataschema=None, ce_subject=None)  # as version 0.1.0 wrote it
            await write(topics.results, created, headers=old)
        await kafka.begin_transaction()
        await write(topics.results, created, value=b"{")
        await kafka.abort_transaction()
    try:
        consumed = consume(language, kafka_bootstrap, topic_prefix)
    except NotHere as reason:
        pytest.skip(str(reason))

    assert consumed.counts == {
        "records": len(events) + 6,
        "invalid": 2,
        "unknown": 1,
        "repeats": 3,
        "clashes": 1,
    }, consumed.lines
    assert consumed.status == 1
    assert [line for line in consumed.lines if line.startswith("Created")] == [
        "Created: St. Mary's Hospital is hospital 4711"
    ]
    assert sum(line.startswith("Invalid: RowCreated 5f0c9d2e") for line in consumed.lines) == 2


async def test_good_records_are_no_fault(kafka_bootstrap, topic_prefix):
    """A script that runs a consumer goes by its exit status."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=2
    )
    await wait_for_topics(settings)
    async with AIOKafkaProducer(**kafka_options.producer_options(settings)) as kafka:
        await kafka.send_and_wait(settings.topics.results, **example("RowCreated").fields())
    consumed = consume("python", kafka_bootstrap, topic_prefix)
    assert (consumed.status, consumed.counts["records"], consumed.counts["invalid"]) == (0, 1, 0)
