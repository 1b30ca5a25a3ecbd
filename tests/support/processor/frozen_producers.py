"""Lanes' producers whose broker freezes in the middle of their commits, and what they leave open."""

import asyncio

import pytest

from deploy.local.broker.kafka import Broker
from services.processor.lane.transactions import LaneTransactions
from services.processor.offsets.watermark import Watermark
from services.processor.settings import ProcessorSettings
from services.processor.subscriptions import lane_topics
from shared.contract.events import SendingResumed
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.fenced_transactions import CommitIndefinite
from shared.runtime.kafka.publisher import KafkaUnavailable, Publisher
from tests.support.open_ends import held, is_left

SEND_SECONDS = 30.0


async def freeze_commits(settings: ProcessorSettings, broker: Broker) -> None:
    """The broker freezes while all lanes commit, until their commits are given up and their producers closed."""
    marks = {topic: Watermark(0, 0) for topic in lane_topics(settings.topics)}
    record = [(settings.topics.results, b"k", b"v", [])]

    async def cut_off(transactions: LaneTransactions) -> None:
        with pytest.raises(CommitIndefinite):
            await transactions.commit(record, marks)
        await transactions.close()

    async def at_work(index: int) -> LaneTransactions:
        """One that has committed: a broker that has just thawed may take longer than a commit may."""
        while True:
            transactions = LaneTransactions(settings, index)
            try:
                await transactions.open()
                await transactions.commit(record, marks)
            except (CommitIndefinite, *KAFKA_FAILURES):
                await transactions.close()
            else:
                return transactions

    every = await asyncio.gather(*(at_work(index) for index in range(settings.kafka_topic_partitions)))
    broker.pause()
    try:
        await asyncio.gather(*(cut_off(transactions) for transactions in every))
    finally:
        broker.resume()


async def freeze_publisher(settings: ProcessorSettings, broker: Broker) -> None:
    """The broker freezes while an event is sent, which is given up."""
    async with Publisher(settings, "processor") as publisher:
        event = SendingResumed(request_id="r")
        await publisher.send(settings.topics.jobs, event, SEND_SECONDS)
        broker.pause()
        try:
            with pytest.raises(KafkaUnavailable):
                await publisher.send(settings.topics.jobs, event, 1.0)
        finally:
            await publisher.close()
            broker.resume()


async def assert_nothing_is_left(settings: ProcessorSettings, broker: Broker, freezes: int) -> None:
    """After so many freezes there are as many tasks and sockets as before. Three lanes left 9 and 6 at each of them."""
    before = held()
    for _ in range(freezes):
        await freeze_commits(settings, broker)
    await freeze_publisher(settings, broker)
    await is_left(before)
