"""Connections to Kafka that serve one upload after the other."""

import asyncio

import pytest
from aiokafka.client import AIOKafkaClient

from services.ingest.publication.connection_pool import MAX_AGE_SECONDS, MAX_IDLE, Connection, ConnectionPool
from services.ingest.publication.job_transaction import JobTransaction, NotPublished, fence, open_transaction
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.settings import KafkaSettings
from tests.support.ingest.ingest_server import CSV, ingest, ready, settings, upload
from tests.support.ingest.published_jobs import jobs

BUDGET = 10.0


class Clock:
    """A clock that a test sets."""

    seconds = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """The pool's clock."""
    return Clock()


@pytest.fixture
async def pool(kafka_bootstrap, topic_prefix, clock):
    """Connections to the run's broker."""
    where = KafkaSettings(kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix)
    found = ConnectionPool(where, clock=clock)
    yield found
    found.close()


async def idle(pool: ConnectionPool, number: int) -> tuple[Connection, ...]:
    """The idle ones, as soon as there are so many: an upload's comes back a moment after its answer."""
    async with asyncio.timeout(5):
        while len(pool.idle) < number:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    return pool.idle


async def test_uploads_after_one_another_share_a_connection_and_each_has_its_own_transaction(
    tmp_path, kafka_bootstrap, topic_prefix
):
    """Connecting costs as much as publishing; fencing goes by the id, whatever it runs on."""
    where = {"kafka_bootstrap_servers": kafka_bootstrap, "kafka_topic_prefix": topic_prefix}
    clients: list[AIOKafkaClient] = []

    class Noted(JobTransaction):
        async def begin(self) -> None:
            clients.append(self._producer.client)
            await super().begin()

    async with ingest(tmp_path, transaction_type=Noted, **where) as client:
        await ready(client)
        made = [(await upload(client, CSV, f"k{number}")).json()["job_id"] for number in range(4)]

    assert clients == clients[:1] * 4
    assert set(await jobs(settings(tmp_path, **where))) == set(made)
    assert len(set(made)) == 4


async def test_a_second_upload_at_the_same_time_has_another_connection(pool):
    """On one of them the answer to the one would wait for the answer to the other."""
    async with (
        open_transaction(pool, "a", 1, AnswerBudget(BUDGET)),
        open_transaction(pool, "b", 1, AnswerBudget(BUDGET)),
    ):
        pass

    one, other = await idle(pool, 2)
    assert one.client is not other.client


async def test_a_connection_on_which_something_failed_is_not_used_again_nor_are_the_idle_ones(pool):
    """What was sent on it may still be answered; and Kafka may be out of reach for all of them."""
    await asyncio.gather(fence(pool, "a", AnswerBudget(BUDGET)), fence(pool, "b", AnswerBudget(BUDGET)))
    await idle(pool, 2)

    with pytest.raises(NotPublished):
        async with open_transaction(pool, "c", 1, AnswerBudget(BUDGET)):
            raise NotPublished

    assert not pool.idle


async def test_an_old_connection_is_not_used_again(pool, clock):
    """It may know the partitions of yesterday, and a firewall may have forgotten it."""
    await fence(pool, "a", AnswerBudget(BUDGET))
    (old,) = await idle(pool, 1)
    clock.seconds = MAX_AGE_SECONDS

    new = pool.acquire()

    assert new.client is not old.client
    assert not new.is_open


async def test_kafka_answers_on_a_connection_whether_it_is_new_or_not(pool):
    """Which a large upload asks while it waits."""
    connection = pool.acquire()
    for _ in range(2):
        await connection.ask()

    assert connection.is_open
    pool.release(connection)


async def test_only_so_many_are_kept(pool):
    """Many uploads come at once and are done."""
    acquired = [pool.acquire() for _ in range(MAX_IDLE + 3)]

    for connection in acquired:
        pool.release(connection)

    assert len(pool.idle) == MAX_IDLE


async def test_what_is_released_after_the_end_is_closed(pool):
    """An upload may be the last thing that the service does."""
    connection = pool.acquire()
    pool.close()

    pool.release(connection)

    assert not pool.idle
