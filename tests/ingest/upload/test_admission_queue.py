"""Who waits for a slot, for how long, and what those are told who do not get one."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from services.ingest.problems import busy
from services.ingest.publication.upload_budgets import UploadBudget
from services.ingest.upload.admission_queue import QUEUE_LIMITS, AdmissionQueue, QueueLimits
from shared.runtime.databases import DatabaseDown
from shared.runtime.http.answer_budget import ANSWER_SECONDS
from shared.runtime.http.problems import KAFKA_DOWN, Problem

T = TypeVar("T")
#: A wait of a twentieth of a second.
SHORT = QueueLimits(wait_seconds=0.05)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.seconds


async def used(queue: AdmissionQueue) -> bool:
    """A slot, taken and given back: whether others were answered meanwhile."""
    async with queue.slot(UploadBudget(ANSWER_SECONDS)) as slot:
        return slot.others_were_answered


async def waiting_are(queue: AdmissionQueue, number: int) -> None:
    """Returns when so many wait."""
    while queue.waiting < number:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0)


async def test_when_nobody_is_answered_it_is_kafka():
    """All slots hang, and the one who waits cannot know more."""
    queue = AdmissionQueue(1, SHORT)
    async with queue.slot(UploadBudget(ANSWER_SECONDS)):
        with pytest.raises(Problem, match=KAFKA_DOWN):
            await used(queue)


async def test_the_budget_of_a_request_can_be_shorter_than_the_wait():
    """What is left of it is all that it may wait."""
    queue = AdmissionQueue(1, QueueLimits(wait_seconds=60))
    async with queue.slot(UploadBudget(ANSWER_SECONDS)):
        with pytest.raises(Problem, match=KAFKA_DOWN):
            async with queue.slot(UploadBudget(0.05)):
                pytest.fail("there was no slot")


async def test_a_slot_that_becomes_free_when_the_time_is_over_is_not_lost():
    """Who has just given up must not keep it."""
    queue, timed_out = AdmissionQueue(1), asyncio.Event()

    class EndsTogether(UploadBudget):
        async def run(self, work: Coroutine[Any, Any, T], at_most: float | None = None) -> T:
            await super().run(work, at_most)
            timed_out.set()
            raise TimeoutError

    async with queue.slot(UploadBudget(ANSWER_SECONDS)):
        late = asyncio.create_task(queue.slot(EndsTogether()).__aenter__())
        await waiting_are(queue, 1)
    with pytest.raises(Problem):
        await late

    assert timed_out.is_set()
    assert not await used(queue)


async def test_when_others_are_answered_it_is_too_many_uploads():
    """Kafka is not down, and nobody says so."""
    queue, first, second = AdmissionQueue(1, QueueLimits(wait_seconds=0.3)), asyncio.Event(), asyncio.Event()

    async def holds(until: asyncio.Event) -> None:
        async with queue.slot(UploadBudget(ANSWER_SECONDS)):
            await until.wait()

    holding = [asyncio.create_task(holds(until)) for until in (first, second)]
    await waiting_are(queue, 1)
    waiting = asyncio.create_task(used(queue))
    await waiting_are(queue, 2)
    first.set()

    with pytest.raises(Problem) as refusal:
        await waiting

    assert refusal.value.error_type == "busy"
    second.set()
    await asyncio.gather(*holding)


async def test_an_upload_that_ended_with_503_was_not_answered():
    """Else one who was told to come back would be the reason to tell the next that there are only too many uploads."""
    queue, refused = AdmissionQueue(1, SHORT), asyncio.Event()

    async def is_refused() -> None:
        async with queue.slot(UploadBudget(ANSWER_SECONDS)):
            await refused.wait()
            raise busy()

    failing = asyncio.create_task(is_refused())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(used(queue))
    await waiting_are(queue, 1)
    refused.set()

    assert not await waiting
    with pytest.raises(Problem):
        await failing


async def test_only_who_waited_is_late_because_of_others():
    """Who did not wait is not, whatever others do."""
    queue = AdmissionQueue(1)
    async with queue.slot(UploadBudget(ANSWER_SECONDS)) as slot:
        waiting = asyncio.create_task(used(queue))
        await waiting_are(queue, 1)
        assert not slot.others_were_answered

    assert await waiting


@pytest.mark.parametrize(
    ("slots", "seconds", "fits"),
    [(1, 0.001, QUEUE_LIMITS.max_length), (1, 10.0, QUEUE_LIMITS.min_length), (1, 0.06, 80), (2, 0.06, 80)],
    ids=["quick", "slow", "alone", "two"],
)
async def test_the_queue_is_as_long_as_the_slots_are_quick(slots, seconds, fits):
    """A fast service lets many wait; a slow one refuses them at once, while they can still be told in time."""
    clock = Clock()
    queue = AdmissionQueue(slots, clock=clock)
    await spend(queue, [seconds] * 100, slots, clock)

    queue.waiting = fits - 1
    assert not queue.is_full
    queue.waiting = fits + 1
    assert queue.is_full


async def test_a_single_slow_upload_does_not_shorten_the_queue_much():
    """The end of a large upload held it up; those that come next need not be sent away for that."""
    clock = Clock()
    queue = AdmissionQueue(1, clock=clock)
    await spend(queue, [0.06] * 100 + [1.2], 1, clock)
    queue.waiting = 60
    assert not queue.is_full

    queue.waiting = 0
    await spend(queue, [1.2] * 10, 1, clock)
    queue.waiting = 60
    assert queue.is_full


async def spend(queue: AdmissionQueue, times: list[float], side_by_side: int, clock: Clock) -> None:
    """Lets so many uploads at a time take slots for these seconds, one after the other."""
    for seconds in times:
        slots = [queue.slot(UploadBudget(ANSWER_SECONDS)) for _ in range(side_by_side)]
        for slot in slots:
            await slot.__aenter__()
        clock.seconds += seconds
        for slot in slots:
            await slot.__aexit__(None, None, None)


async def test_who_cannot_even_wait_is_told_why():
    """Too many uploads, as long as others are answered; else what kept the latest one from it."""
    queue = AdmissionQueue(1)
    assert problem(queue).error_type == "busy"

    with contextlib.suppress(DatabaseDown):
        async with queue.slot(UploadBudget(ANSWER_SECONDS)):
            raise DatabaseDown("no answer")
    assert isinstance(queue.rejection(), DatabaseDown)

    async with queue.slot(UploadBudget(ANSWER_SECONDS)):
        pass
    assert problem(queue).error_type == "busy"


async def test_a_file_that_is_refused_was_answered():
    """Its 400 is an answer."""
    queue = AdmissionQueue(1)
    with contextlib.suppress(Problem):
        async with queue.slot(UploadBudget(ANSWER_SECONDS)):
            raise Problem(400, "invalid_file", "x")

    assert queue.answered == 1
    assert problem(queue).error_type == "busy"


def problem(queue: AdmissionQueue) -> Problem:
    """The rejection, when it is one for the client."""
    rejection = queue.rejection()
    assert isinstance(rejection, Problem)
    return rejection
