"""Requests for activation are held while the group gives us their partition, and are committed when answered."""

import asyncio
import time
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, NoOffsetForPartitionError

from services.processor.activation.activation_consumer import ActivationIntake
from services.processor.activation.activations import Activations
from services.processor.directory.outcomes import Activated
from services.processor.limits.backoff import Backoff
from shared.contract.events import BatchActivationRequested
from tests.support.processor.lane_doubles import lane_settings, record

HERE = TopicPartition("hospital.jobs", 0)


class FakeConsumer:
    """A group's consumer for one partition; `commits` are what Kafka took, unless it says no."""

    def __init__(self):
        self.commits = []
        self.says_no = False

    async def committed(self, partition):
        return 5

    def seek(self, partition, offset):
        pass

    async def commit(self, offsets):
        if self.says_no:
            raise CommitFailedError("another member has it")
        self.commits.append(offsets)


@pytest.fixture
def consumer():
    return FakeConsumer()


@pytest.fixture
def activations():
    async def publish(_):
        pass

    return Activations(3, Backoff(0.02, 0.03), publish, lambda: None)


@pytest.fixture
async def intake(consumer, activations):
    """Has been given the partition; one request has come."""
    intake = ActivationIntake(lane_settings(), activations)
    intake.attach(type("Subscriber", (), {"consumer": consumer}))
    await intake.on_partitions_assigned([HERE])
    deliver(intake)
    return intake


def deliver(intake):
    event = BatchActivationRequested(tenant="t", job_id="job", batch_id="a", request_id="r1")
    intake._admit(HERE, [record(event, 5, HERE.topic)], 6)


async def test_nothing_is_sent_before_kafka_has_said_that_we_are_a_member(intake, consumer, activations):
    """The same offset is committed for that, and again while a request waits; the next when it has been answered."""
    assert activations.take() is None
    await intake._commit(consumer)
    request = activations.take()
    assert request.batch_id == "a"
    intake._tenure.confirm(time.monotonic())
    await intake._commit(consumer)
    assert consumer.commits == [{HERE: 5}], "no sooner than needed"
    intake._tenure._confirmed -= intake._lease_seconds / 2
    await intake._commit(consumer)
    await activations.answered(request, Activated("done"))
    await intake._commit(consumer)
    assert consumer.commits == [{HERE: 5}, {HERE: 5}, {HERE: 6}]


async def test_who_is_no_member_any_more_sends_nothing(intake, consumer, activations):
    """Kafka refuses its commit."""
    consumer.says_no = True
    await intake._commit(consumer)
    assert activations.take() is None


@pytest.mark.parametrize("revoked", [True, False])
async def test_a_new_assignment_begins_anew(intake, consumer, activations, revoked):
    """Also when the consumer broke and nothing was revoked: what an old tenure left must not block what is new."""
    if revoked:
        await intake.on_partitions_revoked([HERE])
    await intake.on_partitions_assigned([HERE])
    deliver(intake)
    await intake._commit(consumer)
    assert activations.take() is not None
    assert activations.take() is None


async def test_a_partition_that_is_not_sought_yet_does_not_make_it_ask_without_a_break(intake):
    """Each poll of such a one asks Kafka for its offset: hundreds of times a second, in the middle of a rebalance."""
    polls = 0

    async def getmany(**_):
        nonlocal polls
        polls += 1
        await asyncio.sleep(0)
        raise NoOffsetForPartitionError(HERE)

    running = asyncio.create_task(intake.run(SimpleNamespace(getmany=getmany)))
    await asyncio.sleep(0.3)
    running.cancel()
    assert 1 <= polls <= 7
