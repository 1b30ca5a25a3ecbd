"""Requests for activation are held while the group gives us their partition, and are committed when answered."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, NoOffsetForPartitionError

from services.processor.activation.activation_consumer import ActivationConsumer
from services.processor.activation.activations import Activations
from services.processor.directory.outcomes import Activated
from services.processor.limits.backoff import Backoff
from shared.contract.events import BatchActivationRequested
from tests.support.processor.lane_doubles import Clock, lane_settings, record

HERE = TopicPartition("hospital.jobs", 0)


class FakeConsumer:
    """A group's consumer for one partition; `commits` are those that Kafka accepted."""

    def __init__(self):
        self.commits = []
        self.rejects_commits = False

    async def committed(self, partition):
        return 5

    def seek(self, partition, offset):
        pass

    async def commit(self, offsets):
        if self.rejects_commits:
            raise CommitFailedError("another member has it")
        self.commits.append(offsets)


@pytest.fixture
def consumer():
    return FakeConsumer()


@pytest.fixture
def clock():
    """The consumer's time; the lease lasts 4 s."""
    return Clock()


@pytest.fixture
def activations():
    async def publish(_):
        pass

    return Activations(3, Backoff(0.02, 0.03), publish, lambda: None)


@pytest.fixture
async def activation_consumer(consumer, activations, clock):
    """It has one partition, with one request in it."""
    activation_consumer = ActivationConsumer(lane_settings(), activations, clock)
    activation_consumer.attach(type("Subscriber", (), {"consumer": consumer}))
    await activation_consumer.on_partitions_assigned([HERE])
    deliver(activation_consumer)
    return activation_consumer


def deliver(activation_consumer):
    event = BatchActivationRequested(tenant="t", job_id="job", batch_id="a", request_id="r1")
    activation_consumer._admit(HERE, [record(event, 5, HERE.topic)], 6)


async def test_nothing_is_sent_before_kafka_has_accepted_a_commit(activation_consumer, consumer, activations, clock):
    """The same offset is committed again while a request waits; the next one when the request has been answered."""
    assert activations.take() is None
    await activation_consumer._commit(consumer)
    request = activations.take()
    assert request.batch_id == "a"
    clock.now += 1
    await activation_consumer._commit(consumer)
    assert consumer.commits == [{HERE: 5}], "no sooner than needed"
    clock.now += 1
    await activation_consumer._commit(consumer)
    await activations.record_outcome(request, Activated("done"))
    await activation_consumer._commit(consumer)
    assert consumer.commits == [{HERE: 5}, {HERE: 5}, {HERE: 6}]


async def test_a_processor_that_is_no_member_any_more_sends_nothing(activation_consumer, consumer, activations):
    """Kafka rejects its commit."""
    consumer.rejects_commits = True
    await activation_consumer._commit(consumer)
    assert activations.take() is None


@pytest.mark.parametrize("revoked", [True, False])
async def test_a_new_assignment_starts_with_nothing(activation_consumer, consumer, activations, revoked):
    """Also after a consumer error without a revocation: requests of the old lease must not block the new ones."""
    if revoked:
        await activation_consumer.on_partitions_revoked([HERE])
    await activation_consumer.on_partitions_assigned([HERE])
    deliver(activation_consumer)
    await activation_consumer._commit(consumer)
    assert activations.take() is not None
    assert activations.take() is None


async def test_a_partition_that_is_not_sought_yet_is_polled_with_a_pause(activation_consumer):
    """Each such poll asks Kafka for the offset: it would be hundreds of times a second, during a rebalance."""
    polls = 0

    async def getmany(**_):
        nonlocal polls
        polls += 1
        await asyncio.sleep(0)
        raise NoOffsetForPartitionError(HERE)

    running = asyncio.create_task(activation_consumer.run(SimpleNamespace(getmany=getmany)))
    await asyncio.sleep(0.3)
    running.cancel()
    assert 1 <= polls <= 7
