"""A takeover of retries fences only when it can read what the group has committed, and as a member of the group."""

from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalGenerationError, RequestTimedOutError
from aiokafka.structs import OffsetAndMetadata

from services.status.commands.retry_transactions import RetryProgress, RetryTransactions
from shared.runtime.settings import KafkaSettings

AT = TopicPartition("hospital.jobs", 0)


class FakeKafka:
    """What a takeover asks of Kafka, and `steps`, the order in which it did. `failing` are steps that fail."""

    def __init__(self, **failing):
        self.failing = failing
        self.steps = []
        self.commits = {AT: OffsetAndMetadata(3, "")}

    def step(self, name):
        """Notes it."""
        self.steps.append(name)
        if name in self.failing:
            raise self.failing[name]

    @asynccontextmanager
    async def group_offsets(self, settings):
        """The group's offsets."""
        yield self

    async def read(self, group, partitions):
        """They change in the moment in which the former owner is fenced."""
        assert (group, partitions) == ("hospital-orders", [AT])
        self.step("read" if "fence" not in self.steps else "read again")
        return dict(self.commits)

    async def prove(self, consumer):
        """Asks the coordinator."""
        self.step("prove")

    async def open(self):
        """Fences."""
        self.step("fence")
        self.commits = {AT: OffsetAndMetadata(3, "v1:40")}

    async def take_over(self):
        """The progress that was found."""
        return await RetryTransactions(KafkaSettings(), 0, self.prove, self.group_offsets, self).open(None)


async def test_what_counts_is_read_after_the_fence():
    """The former owner may have committed since the first read."""
    kafka = FakeKafka()
    assert await kafka.take_over() == RetryProgress(3, 40)
    assert kafka.steps == ["read", "prove", "fence", "read again"]


@pytest.mark.parametrize("failing", [{"read": RequestTimedOutError()}, {"prove": IllegalGenerationError()}])
async def test_who_cannot_read_and_who_is_no_member_fences_nobody(failing):
    """It would stop a healthy owner: one that had lost only the coordinator did so for ever."""
    kafka = FakeKafka(**failing)
    with pytest.raises(type(*failing.values())):
        await kafka.take_over()
    assert "fence" not in kafka.steps


async def test_a_progress_of_a_newer_version_stops_nobody_either():
    """Its owner understands it."""
    kafka = FakeKafka()
    kafka.commits = {AT: OffsetAndMetadata(3, "v9:?")}
    with pytest.raises(ValueError, match="v9"):
        await kafka.take_over()
    assert kafka.steps == ["read"]


async def test_the_first_owner_finds_no_progress():
    """It begins at the beginning."""
    kafka = FakeKafka()

    async def none(group, partitions):
        return {}

    kafka.read = none
    assert await kafka.take_over() is None
