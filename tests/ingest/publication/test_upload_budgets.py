"""How long an upload waits for Kafka: while it answers, and no longer."""

import asyncio
import time
from collections.abc import Callable

import pytest

from services.ingest.publication.upload_budgets import (
    KafkaSilent,
    LargeUploadBudget,
    RenewedBudget,
    UploadBudget,
    UploadTimeouts,
)
from shared.runtime.http.problems import KAFKA_DOWN, Problem

#: Asks every hundredth of a second, and takes an answer for lost after a tenth.
QUICK = UploadTimeouts(small_seconds=0.1, ask_after_seconds=0.01, ask_seconds=0.1, large_seconds=0.3)


class Connection:
    """A connection on which Kafka answers while it is told to."""

    def __init__(self, answers: Callable[[], bool]) -> None:
        self._answers = answers
        self.client = self
        self.closed = False
        self.asked = 0

    async def ask(self) -> None:
        """Answers at once, or never."""
        self.asked += 1
        if not self._answers():
            await asyncio.Event().wait()

    async def close(self) -> None:
        """As a Kafka client's."""
        self.closed = True


class Pool:
    """One connection."""

    def __init__(self, answers: Callable[[], bool]) -> None:
        self.connection = Connection(answers)
        self.released = 0

    def acquire(self) -> Connection:
        """The connection."""
        return self.connection

    def release(self, _: Connection) -> None:
        """Counts."""
        self.released += 1


async def test_a_busy_kafka_may_take_longer_than_a_silent_one():
    """It answers other requests: so it lives, and the acknowledgement will come."""
    pool = Pool(lambda: True)

    assert await LargeUploadBudget(pool, QUICK).run(asyncio.sleep(0.2, "acknowledged")) == "acknowledged"

    assert pool.connection.asked == pool.released > 3


async def test_a_kafka_that_answers_but_never_acknowledges_is_given_up():
    """Later than one that is silent."""
    budget = LargeUploadBudget(Pool(lambda: True), QUICK)

    with pytest.raises(TimeoutError) as given_up:
        await budget.run(asyncio.Event().wait())

    assert not isinstance(given_up.value, KafkaSilent)


@pytest.mark.parametrize("at_most", [None, 60.0])
async def test_a_silent_kafka_is_given_up_soon(at_most):
    """Its connection is not used again."""
    pool, cancelled = Pool(lambda: False), asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with asyncio.timeout(0.25):
        with pytest.raises(KafkaSilent):
            await LargeUploadBudget(pool, QUICK).run(never(), at_most)

    await cancelled.wait()
    await asyncio.sleep(0)
    assert pool.connection.closed
    assert not pool.released


async def test_a_file_may_be_read_for_any_time_compute():
    """There is no other limit, and the first failure to answer ends it."""
    answers = True
    pool = Pool(lambda: answers)
    reading = asyncio.create_task(LargeUploadBudget(pool, QUICK).compute(asyncio.Event().wait()))
    await asyncio.wait({reading}, timeout=2 * QUICK.large_seconds)
    assert not reading.done()

    answers = False
    with pytest.raises(KafkaSilent):
        await asyncio.wait_for(reading, 0.25)


async def test_silence_while_a_file_is_read_counts_for_what_follows():
    """Else a file that is read just before Kafka is given up would double the time."""
    timeouts = UploadTimeouts(small_seconds=0.5, ask_after_seconds=0.05, ask_seconds=0.5, large_seconds=30)
    budget, began = LargeUploadBudget(Pool(lambda: False), timeouts), time.monotonic()
    await budget.compute(asyncio.sleep(0.4))

    with pytest.raises(KafkaSilent):
        await budget.run(asyncio.Event().wait())

    assert time.monotonic() - began < 0.85


async def test_an_acknowledgement_is_an_answer():
    """A question from before it is forgotten: it may have been lost with a connection."""
    pool = Pool(lambda: False)
    budget = LargeUploadBudget(pool, QUICK)
    for _ in range(4):
        await budget.run(asyncio.sleep(0.06))

    assert pool.connection.asked == 4


async def test_a_silent_kafka_ends_the_wait_for_a_slot():
    """In the words of an outage: it is not other uploads that are too many."""
    budget, began = LargeUploadBudget(Pool(lambda: False), QUICK), time.monotonic()

    with pytest.raises(Problem, match=KAFKA_DOWN):
        await budget.queue(asyncio.Event().wait(), 60)

    assert time.monotonic() - began < 0.25


async def test_silence_while_a_slot_is_waited_for_counts_for_what_follows():
    """The slot was not Kafka's answer: whoever had it before may have given up for the same silence."""
    timeouts = UploadTimeouts(small_seconds=0.5, ask_after_seconds=0.05, ask_seconds=0.5, large_seconds=30)
    budget, began = LargeUploadBudget(Pool(lambda: False), timeouts), time.monotonic()
    await budget.queue(asyncio.sleep(0.4), 60)

    with pytest.raises(KafkaSilent):
        await budget.run(asyncio.Event().wait())

    assert time.monotonic() - began < 0.85


async def test_a_slot_is_waited_for_only_so_long_from_a_kafka_that_answers():
    """Then there are too many uploads."""
    with pytest.raises(TimeoutError):
        await LargeUploadBudget(Pool(lambda: True), QUICK).queue(asyncio.Event().wait(), 0.1)


async def test_what_is_done_while_kafka_is_asked_counts():
    """Even if the question itself is never answered."""
    pool = Pool(lambda: False)

    assert await LargeUploadBudget(pool, QUICK).compute(asyncio.sleep(0.05, "read")) == "read"


async def test_what_is_done_at_once_asks_nothing():
    """Nearly every wait."""
    pool = Pool(lambda: False)

    assert await LargeUploadBudget(pool, QUICK).run(asyncio.sleep(0, "sent")) == "sent"

    assert not pool.connection.asked


async def test_an_error_of_the_work_is_its_own():
    """A file that is refused is not an outage."""

    async def refused() -> None:
        raise ValueError("no CSV")

    with pytest.raises(ValueError, match="no CSV"):
        await LargeUploadBudget(Pool(lambda: True), QUICK).compute(refused())


async def test_the_budget_of_a_small_upload_starts_anew_with_every_answer():
    """Each may take as long as the first."""
    seconds = 0.0
    budget = RenewedBudget(1.0, lambda: seconds)
    for _ in range(3):
        seconds += 0.9
        assert budget.remaining == pytest.approx(0.1)
        await budget.run(asyncio.sleep(0))
        assert budget.remaining == pytest.approx(1.0)

    seconds += 1.0
    with pytest.raises(TimeoutError):
        await budget.run(asyncio.Event().wait())
    assert budget.remaining == 0


async def test_reading_a_small_file_takes_nothing_of_its_budget():
    """However busy the machine is: it is not Kafka that is slow."""
    seconds = 0.0
    budget = RenewedBudget(1.0, lambda: seconds)

    async def read() -> str:
        nonlocal seconds
        seconds += 5.0
        return "read"

    assert await budget.compute(read()) == "read"
    assert budget.remaining == pytest.approx(1.0)


async def test_one_of_many_uploads_that_has_used_up_its_time_is_told_to_come_back():
    """Its time is the same whatever it was spent on."""
    seconds = 0.0
    budget = UploadBudget(1.0, lambda: seconds)

    async def read(takes: float) -> str:
        nonlocal seconds
        seconds += takes
        return "read"

    assert await budget.compute(read(0.6)) == "read"
    assert budget.remaining == pytest.approx(0.4)
    with pytest.raises(Problem) as refusal:
        await budget.compute(read(0.6))
    assert refusal.value.error_type == "busy"
