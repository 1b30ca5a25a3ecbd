"""Only a process that a restart can help is called stuck."""

import pytest

from services.processor.operations.liveness import SILENT_SECONDS, STUCK_SECONDS, Liveness, kafka_answers
from services.processor.settings import ProcessorSettings
from tests.support.processor.lane_doubles import Clock


@pytest.fixture
def clock():
    """The time of the process."""
    return Clock()


class Process:
    """A process with one consumer, as its liveness sees it."""

    def __init__(self, clock):
        self.polled = None
        self.kafka = True
        self.asked = 0
        self.liveness = Liveness({"rows": lambda: self.polled}, self.kafka_answers, clock)

    async def kafka_answers(self):
        self.asked += 1
        return self.kafka


async def test_a_process_that_polls_is_alive_with_or_without_partitions(clock):
    """Kafka is not asked then."""
    process = Process(clock)
    for _ in range(10):
        process.polled = clock.now
        clock.now += SILENT_SECONDS - 1
        await process.liveness.check()
    assert process.asked == 0


async def test_a_process_that_does_not_poll_although_kafka_answers_is_stuck(clock):
    """The consumer would never come back by itself."""
    process = Process(clock)
    process.polled = clock.now
    clock.now += SILENT_SECONDS + 1
    await process.liveness.check()
    clock.now += STUCK_SECONDS + 1
    with pytest.raises(RuntimeError, match="still no poll of: rows"):
        await process.liveness.check()
    process.polled = clock.now
    await process.liveness.check()


async def test_nobody_is_stuck_while_kafka_is_away(clock):
    """A restart would not help; and after Kafka is back there is time to poll again."""
    process = Process(clock)
    process.polled = clock.now
    process.kafka = False
    for _ in range(100):
        clock.now += 10
        await process.liveness.check()
    process.kafka = True
    clock.now += 100
    await process.liveness.check()
    clock.now += STUCK_SECONDS - 1
    await process.liveness.check()
    clock.now += 10
    with pytest.raises(RuntimeError, match="rows"):
        await process.liveness.check()


async def test_a_process_that_keeps_connecting_is_alive(clock):
    """A restart would do the same."""
    process = Process(clock)
    process.polled = clock.now
    for _ in range(100):
        clock.now += 10
        process.liveness.connecting("rows")
        await process.liveness.check()


async def test_before_the_first_connection_nobody_is_stuck(clock):
    """The process waits for Kafka or its topics."""
    clock.now += 1000
    await Process(clock).liveness.check()


async def test_a_kafka_that_nobody_listens_for_does_not_answer():
    """And that is known within the time that `/health` has."""
    assert not await kafka_answers(ProcessorSettings(kafka_bootstrap_servers="127.0.0.1:9"))
