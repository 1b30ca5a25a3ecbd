"""Uploads at work while their broker freezes: what was under way is given up."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from deploy.local.broker.kafka import Broker
from services.ingest.publication.connection_pool import Connection, ConnectionPool, close_connection
from services.ingest.publication.job_producer import JobProducer, job_producer
from services.ingest.publication.jobs_topic import JobsTopic
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.topic_admin import create_missing_topics
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout
from tests.support.open_ends import held, is_left, no_complaints

#: How long anything waits for the frozen broker.
SECONDS = 0.5


class Uploads:
    """Uploads in every state in which Kafka can leave them, and what recovery does meanwhile."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._pool = ConnectionPool(settings)
        self._jobs = JobsTopic(settings)
        self._producers: list[JobProducer] = []
        self._connection: Connection

    async def begin(self, number: int) -> None:
        """Three producers, of which two are in a transaction, and a connection: all of them work."""
        self._producers = [self._producer(f"{number}-{index}") for index in range(3)]
        for producer in self._producers:
            await producer.start()
        for producer in self._producers[1:]:
            await producer.begin_transaction()
            await self._send(producer)
        self._connection = self._pool.acquire()
        await self._connection.ask()

    async def give_up(self, number: int) -> None:
        """All of them do the next step, hear nothing, and are ended."""
        idle, sending, committing = self._producers
        late = self._producer(f"{number}-late")
        await asyncio.gather(
            self._given_up(idle, self._first_record(idle)),
            self._given_up(sending, self._send(sending)),
            self._given_up(committing, committing.commit_transaction()),
            self._given_up(late, late.start()),
            _fails(self._connection.ask()),
            _fails(self._jobs.refresh(SECONDS)),
            _fails(self._jobs.has_job("a", 0, 0)),
        )
        close_connection(self._connection)

    def _producer(self, job_id: str) -> JobProducer:
        return job_producer(self._settings, self._pool.acquire(), job_id, 2)

    async def _send(self, producer: JobProducer) -> None:
        await (await producer.send_batch(_batch(producer), self._settings.topics.rows_express, partition=0))

    async def _first_record(self, producer: JobProducer) -> None:
        await producer.begin_transaction()
        await self._send(producer)

    async def _given_up(self, producer: JobProducer, step: Coroutine[Any, Any, object]) -> None:
        await _fails(step)
        await producer.abort(SECONDS, SECONDS)


def _batch(producer: JobProducer) -> BatchBuilder:
    batch = producer.create_batch()
    batch.append(timestamp=None, key=b"k", value=b"v", headers=[])
    return batch


async def _fails(step: Coroutine[Any, Any, object]) -> None:
    with pytest.raises((*KAFKA_FAILURES, RuntimeError)):
        await run_with_timeout(SECONDS, step)


async def assert_nothing_is_left(broker: Broker, freezes: int) -> None:
    """After so many freezes there are as many tasks and sockets as before, and nobody complains."""
    settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap, kafka_topic_partitions=1)
    await create_missing_topics(settings)
    uploads, before = Uploads(settings), held()
    with no_complaints():
        for number in range(freezes):
            await _freeze(uploads, broker, number)
        await is_left(before)


async def _freeze(uploads: Uploads, broker: Broker, number: int) -> None:
    """One freeze, after which the broker is itself again."""
    await run_with_timeout(20, uploads.begin(number))
    broker.pause()
    try:
        await uploads.give_up(number)
    finally:
        broker.resume()
