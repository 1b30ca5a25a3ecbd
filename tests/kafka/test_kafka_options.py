"""What the options of shared.runtime.kafka.kafka_options really do: read from the clients, and tried on a broker."""

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError

from shared.contract.topics import MAX_MESSAGE_BYTES
from shared.runtime.kafka.kafka_options import consumer_options, producer_options
from shared.runtime.kafka.topic_admin import create_missing_topics
from shared.runtime.settings import KafkaSettings


@pytest.fixture
async def settings(kafka_bootstrap, topic_prefix):
    """An installation of its own, its topics made."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=1
    )
    await create_missing_topics(settings)
    return settings


@pytest.fixture
async def producer(settings):
    """A producer as an upload has one."""
    async with AIOKafkaProducer(
        **producer_options(settings), transactional_id=settings.topics.transactional_id("tests")
    ) as started:
        yield started


@pytest.fixture
async def consumer(settings):
    """A consumer with a group, as the services have them, at the start of `hospital.jobs`."""
    async with AIOKafkaConsumer(**consumer_options(settings), group_id=settings.topics.group("tests")) as started:
        started.assign([TopicPartition(settings.topics.jobs, 0)])
        yield started


async def test_the_effective_configuration_loses_nothing(producer, consumer):
    """aiokafka's defaults do: acks=1, not idempotent, auto-commit, `latest`, read_uncommitted."""
    assert producer._sender._acks == -1
    assert producer._txn_manager is not None, "idempotent producers number their batches"
    assert producer._max_request_size == MAX_MESSAGE_BYTES
    assert consumer._enable_auto_commit is False
    assert consumer._auto_offset_reset == "none"
    assert consumer._isolation_level == "read_committed"
    assert consumer._max_partition_fetch_bytes > MAX_MESSAGE_BYTES


async def test_a_producer_without_transactions_is_idempotent_too(settings):
    """Dead letters and reports are written by one."""
    async with AIOKafkaProducer(**producer_options(settings)) as producer:
        assert producer._txn_manager.has_pid()
        assert producer._txn_manager.transactional_id is None


async def test_a_group_without_an_offset_starts_nowhere_by_itself(consumer):
    """`earliest` or `latest` would jump over records that were deleted, without a word."""
    with pytest.raises(NoOffsetForPartitionError):
        await consumer.getone()


async def test_only_committed_records_are_read_and_nothing_is_committed_unasked(settings, producer, consumer):
    """An aborted upload never happened; an offset moves when its results are written."""
    jobs = settings.topics.jobs
    async with producer.transaction():
        await producer.send_and_wait(jobs, b"first")
    await producer.begin_transaction()
    await producer.send_and_wait(jobs, b"aborted")
    await producer.abort_transaction()
    async with producer.transaction():
        await producer.send_and_wait(jobs, b"second")
    await consumer.seek_to_beginning()
    assert [(await consumer.getone()).value for _ in range(2)] == [b"first", b"second"]
    await consumer.stop()
    async with AIOKafkaConsumer(**consumer_options(settings), group_id=settings.topics.group("tests")) as again:
        assert await again.committed(TopicPartition(jobs, 0)) is None


async def test_the_largest_record_that_a_producer_may_send_is_read(settings, producer, consumer):
    """A consumer that fetched less would skip it with only a log line."""
    value = b"x" * (MAX_MESSAGE_BYTES - 200)
    async with producer.transaction():
        await producer.send_and_wait(settings.topics.jobs, value)
    await consumer.seek_to_beginning()
    assert (await consumer.getone()).value == value
