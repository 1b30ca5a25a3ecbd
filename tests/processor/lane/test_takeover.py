"""A takeover fences only when it can read what the group has committed, and when its processor is still a member."""

import asyncio
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalGenerationError, IllegalStateError, RequestTimedOutError, UnknownMemberIdError
from aiokafka.structs import OffsetAndMetadata

from services.processor.lane.takeover import OffsetsForgotten, prove_ownership, take_over, wait_for_release
from services.processor.offsets.watermark import Watermark
from services.processor.subscriptions import lane_topics
from tests.support.processor.lane_doubles import lane_settings

SETTINGS = lane_settings()
EXPRESS, BULK, JOBS = (TopicPartition(topic, 0) for topic in lane_topics(SETTINGS.topics))
EVERY = {EXPRESS, BULK, JOBS}
GROUP, FORMER_GROUP = "hospital-processor", "hospital-activation"
MARK = Watermark(5, 9)


class FakeKafka:
    """What a takeover asks of Kafka, and `steps`, the order in which it did. `failing` are steps that fail."""

    def __init__(self, **failing):
        self.failing = failing
        self.steps = []
        self.commits = {(GROUP, where): OffsetAndMetadata(MARK.offset, MARK.metadata()) for where in EVERY}
        self.assigned = EVERY
        self.results = 0

    def _step(self, name):
        self.steps.append(name)
        if name in self.failing:
            raise self.failing[name]

    # the group's offsets

    @asynccontextmanager
    async def group_offsets(self, settings):
        yield self

    async def read(self, group, partitions):
        if group == GROUP:
            self._step("read" if "fence" not in self.steps else "read again")
        return {where: self.commits[group, where] for where in partitions if (group, where) in self.commits}

    # the consumer

    def assignment(self):
        return self.assigned

    def seek(self, partition, offset):
        self._step("seek")

    async def end_offsets(self, partitions):
        return {where: self.results if where.topic == "hospital.results" else 9 for where in partitions}

    async def beginning_offsets(self, partitions):
        return dict.fromkeys(partitions, 0)

    async def prove(self, consumer):
        self._step("prove")

    # the lane's transactions

    async def open(self):
        self._step("fence")

    async def close(self):
        self._step("close")

    async def take_over(self):
        return await take_over(SETTINGS, self, 0, self, self.prove, self.group_offsets)


async def test_it_reads_then_proves_then_fences_then_reads_again():
    """Only the second read holds: the former owner's last commit may have come between."""
    kafka = FakeKafka()
    found = await kafka.take_over()
    assert kafka.steps == ["read", "prove", "fence", "read again", "seek", "seek", "seek"]
    assert found.watermarks == {where.topic: MARK for where in EVERY}


@pytest.mark.parametrize(
    "failing",
    [{"read": RequestTimedOutError()}, {"read": TimeoutError()}, {"prove": UnknownMemberIdError()}],
    ids=["the coordinator is away", "no answer", "no member any more"],
)
async def test_who_cannot_read_or_is_no_member_fences_nobody(failing):
    """A processor that had lost only the group's coordinator stopped the lane's healthy owner for ever."""
    kafka = FakeKafka(**failing)
    with pytest.raises(type(next(iter(failing.values())))):
        await kafka.take_over()
    assert "fence" not in kafka.steps


async def test_an_index_whose_topics_have_two_owners_is_nobodys():
    """One topic was given more partitions: both owners would fence each other for ever. Readiness says what to do."""
    kafka = FakeKafka()
    kafka.assigned = {EXPRESS, JOBS}
    with pytest.raises(IllegalStateError, match="not assigned here"):
        await kafka.take_over()
    assert kafka.steps == ["close"]


async def test_the_requests_of_the_former_group_are_taken_over_once():
    """Up to 0.1.0 a group of its own read them. Where the lanes have committed themselves, only that counts."""
    kafka = FakeKafka()
    kafka.commits[FORMER_GROUP, JOBS] = OffsetAndMetadata(77, "")
    assert (await kafka.take_over()).watermarks[JOBS.topic] == MARK
    kafka = FakeKafka()
    kafka.commits[FORMER_GROUP, JOBS] = OffsetAndMetadata(77, "")
    del kafka.commits[GROUP, JOBS]
    found = await kafka.take_over()
    assert found.watermarks[JOBS.topic] == Watermark(77, 77)
    assert not found.unowned


async def test_a_group_that_kafka_has_forgotten_is_no_beginning():
    """Nobody was in it for a week, say. Everything would be sent again; whoever reads the reason finds the command."""
    kafka = FakeKafka()
    kafka.commits, kafka.results = {}, 100
    with pytest.raises(OffsetsForgotten, match=r"python -m services\.processor offsets set"):
        await kafka.take_over()
    assert "fence" not in kafka.steps


async def test_a_new_installation_begins():
    """There are rows, and no result: a commit comes before the first of them."""
    kafka = FakeKafka()
    kafka.commits = {}
    assert (await kafka.take_over()).unowned


async def test_a_lane_of_topics_that_have_grown_begins():
    """The other lanes have offsets."""
    kafka = FakeKafka()
    kafka.results = 100
    other = TopicPartition(EXPRESS.topic, 1)
    kafka.commits = {(GROUP, other): OffsetAndMetadata(5, "")}
    assert (await kafka.take_over()).unowned


async def test_a_lane_whose_requests_are_elsewhere_goes_on_with_its_rows():
    """While some processors are of 0.1.0, the range assignor gives hospital.jobs to others than the rows."""
    kafka = FakeKafka()
    kafka.assigned = {EXPRESS, BULK}
    assert (await kafka.take_over()).watermarks[JOBS.topic] == MARK
    assert kafka.steps.count("seek") == 2


@pytest.mark.parametrize("step", ["read", "prove", "fence", "read again", "seek"])
async def test_a_producer_that_was_not_taken_over_with_is_closed(step):
    """Otherwise each try, one a second, would leave one."""
    kafka = FakeKafka(**{step: RequestTimedOutError()})
    with suppress(RequestTimedOutError):
        await kafka.take_over()
    assert kafka.steps[-1] == "close"


async def test_a_takeover_that_is_cut_off_closes_its_producer():
    """A rebalance took the lane away meanwhile."""
    kafka = FakeKafka()
    kafka.prove = lambda _: asyncio.Event().wait()
    taking = asyncio.create_task(kafka.take_over())
    await asyncio.sleep(0.01)
    taking.cancel()
    with suppress(asyncio.CancelledError):
        await taking
    assert kafka.steps == ["read", "close"]


RELEASED = Watermark(7, 7, released=True)


class Owner(FakeKafka):
    """The group's offsets, as their owner commits `marks`, one after another."""

    def __init__(self, *marks):
        super().__init__()
        self.marks = list(marks)

    async def read(self, group, partitions):
        mark = self.marks.pop(0) if len(self.marks) > 1 else self.marks[0]
        return {where: OffsetAndMetadata(mark.offset, mark.metadata()) for where in partitions} if mark else {}


async def test_a_lane_is_released_when_its_owner_says_so():
    """Until then its owner sends and commits, and must not be fenced."""
    owner = Owner(MARK, MARK, RELEASED)
    assert await wait_for_release(SETTINGS, 0, 10, owner.group_offsets)
    assert owner.marks == [RELEASED]


async def test_an_owner_that_does_not_release_its_lane_is_waited_for_no_longer_than_it_may_take():
    """It has been killed in the middle of it: then its lease is to be waited for."""
    assert not await wait_for_release(SETTINGS, 0, 0.3, Owner(MARK).group_offsets)


async def test_a_lane_that_nobody_has_committed_for_is_not_waited_for():
    """A commit comes before the first call."""
    assert await wait_for_release(SETTINGS, 0, 10, Owner(None).group_offsets)


class Coordinator:
    """A group's coordinator that answers heartbeats with an error code of Kafka."""

    def __init__(self, error_code):
        self._coordinator = self
        self.group_id, self.generation, self.member_id = "group", 5, "we"
        self._error_code = error_code

    async def _send_req(self, request):
        return SimpleNamespace(error_code=self._error_code)


@pytest.mark.parametrize(("code", "proven"), [(0, True), (27, True), (22, False), (25, False)])
async def test_a_rebalance_that_begins_does_not_hold_a_takeover_up(code, proven):
    """27: the generation is still the present one. 22 and 25: there is a newer one, or we are no member."""
    if proven:
        await prove_ownership(Coordinator(code))
    else:
        with pytest.raises((IllegalGenerationError, UnknownMemberIdError)):
            await prove_ownership(Coordinator(code))
