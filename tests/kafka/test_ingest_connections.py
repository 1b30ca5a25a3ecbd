"""Connections to Kafka that serve one upload after the other."""

import asyncio

import pytest

from services.ingest.publication import connection_pool as lending
from services.ingest.publication.connection_pool import MAX_IDLE, Connection, Connections
from services.ingest.publication.job_transaction import NotPublished, fence, open_publication
from shared.runtime.settings import KafkaSettings
from tests.support.ingest.ingest_server import CSV, ingest, ready, settings, upload
from tests.support.ingest.published_jobs import jobs


@pytest.fixture
async def connections(kafka_bootstrap, topic_prefix):
    """Connections to the run's broker."""
    found = Connections(KafkaSettings(kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix))
    yield found
    found.close()


async def idle(connections: Connections, number: int) -> list[Connection]:
    """The idle ones, as soon as there are so many: an upload's comes back a moment after its answer."""
    async with asyncio.timeout(5):
        while len(connections._idle) < number:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    return list(connections._idle)


async def test_uploads_after_one_another_share_a_connection_and_each_has_its_own_transaction(
    tmp_path, kafka_bootstrap, topic_prefix, monkeypatch
):
    """Connecting costs as much as publishing; fencing goes by the id, whatever it runs on."""
    where = {"kafka_bootstrap_servers": kafka_bootstrap, "kafka_topic_prefix": topic_prefix}
    opened: list[Connection] = []
    really_open = Connection.open

    async def counted(connection: Connection) -> None:
        if not connection.is_open:
            opened.append(connection)
        await really_open(connection)

    monkeypatch.setattr(Connection, "open", counted)
    async with ingest(tmp_path, **where) as client:
        await ready(client)
        made = [(await upload(client, CSV, f"k{number}")).json()["job_id"] for number in range(4)]

    assert len(opened) == 1
    assert set(await jobs(settings(tmp_path, **where))) == set(made)
    assert len(set(made)) == 4


async def test_a_second_upload_at_the_same_time_has_another_connection(connections):
    """On one of them the answer to the one would wait for the answer to the other."""
    async with open_publication(connections, "a", 1, 10), open_publication(connections, "b", 1, 10):
        pass

    one, other = await idle(connections, 2)
    assert one.client is not other.client


async def test_a_connection_on_which_something_failed_is_not_used_again_nor_are_the_idle_ones(connections):
    """What was sent on it may still be answered; and Kafka may be out of reach for all of them."""
    await asyncio.gather(fence(connections, "a", 10), fence(connections, "b", 10))
    await idle(connections, 2)

    with pytest.raises(NotPublished):
        async with open_publication(connections, "c", 1, 10):
            raise NotPublished

    assert not connections._idle


async def test_an_old_connection_is_not_used_again(connections, monkeypatch):
    """It may know the partitions of yesterday, and a firewall may have forgotten it."""
    monkeypatch.setattr(lending, "LIFE_SECONDS", 0.01)
    await fence(connections, "a", 10)
    (old,) = await idle(connections, 1)
    await asyncio.sleep(0.02)

    new = connections.lend()

    assert new.client is not old.client
    assert not new.is_open


async def test_only_so_many_are_kept(connections):
    """A crowd comes and goes."""
    lent = [connections.lend() for _ in range(MAX_IDLE + 3)]

    for connection in lent:
        connections.take_back(connection)

    assert len(connections._idle) == MAX_IDLE


async def test_what_comes_back_after_the_end_is_closed(connections):
    """An upload may be the last thing that the service does."""
    connection = connections.lend()
    connections.close()

    connections.take_back(connection)

    assert not connections._idle
