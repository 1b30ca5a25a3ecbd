"""What uploads left on the topics, as a reader of committed records sees it."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.contract.cloud_events import decode
from shared.contract.events import Event, JobAccepted, RowAccepted
from shared.runtime.kafka import kafka_options
from shared.runtime.settings import KafkaSettings


async def records(settings: KafkaSettings, topics: Sequence[str], *, committed: bool = True) -> list[Any]:
    """Every record of the topics, partition by partition; the uncommitted ones too if asked for."""
    isolation = "read_committed" if committed else "read_uncommitted"
    consumer = AIOKafkaConsumer(**{**kafka_options.consumer_options(settings), "isolation_level": isolation})
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, index) for topic in topics for index in range(settings.topics.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found = []
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                found += (await consumer.getmany(partition, timeout_ms=200)).get(partition, [])
        return found
    finally:
        await consumer.stop()


async def events(settings: KafkaSettings, *topics: str) -> list[Event]:
    """The committed events of the topics."""
    return [decode(record.headers, record.value) for record in await records(settings, topics)]


async def jobs(settings: KafkaSettings) -> dict[str, tuple[JobAccepted, list[RowAccepted]]]:
    """Every job with its rows. Asserts that none is there twice, and no row without its job."""
    accepted = [event for event in await events(settings, settings.topics.jobs) if isinstance(event, JobAccepted)]
    found: dict[str, tuple[JobAccepted, list[RowAccepted]]] = {job.job_id: (job, []) for job in accepted}
    assert len(found) == len(accepted)
    for event in await events(settings, *settings.topics.rows):
        assert isinstance(event, RowAccepted)
        found[event.job_id][1].append(event)
    return found


async def assert_whole_jobs(settings: KafkaSettings, sizes: Mapping[str, int]) -> None:
    """Asserts that the topics hold these jobs and nothing else; numbers of rows by job id. Reads only keys: quick."""
    accepted = await records(settings, [settings.topics.jobs])
    assert sorted(record.key.decode() for record in accepted) == sorted(sizes)
    keys = [record.key.decode() for record in await records(settings, settings.topics.rows)]
    assert len(keys) == sum(sizes.values())
    assert set(keys) == {f"{job_id}:{row}" for job_id, rows in sizes.items() for row in range(2, rows + 2)}


async def assert_one_whole_job_each(
    settings: KafkaSettings, answered: Mapping[str, str], sizes: Mapping[str, int]
) -> None:
    """Asserts that the jobs are those of the answers, each with all its rows; job ids and numbers of rows by key."""
    published = await jobs(settings)
    assert set(published) == set(answered.values())
    for key, job_id in answered.items():
        job, found = published[job_id]
        assert job.total_hospitals == sizes[key]
        assert sorted(row.row for row in found) == list(range(2, sizes[key] + 2))
