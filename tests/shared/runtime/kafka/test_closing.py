"""The end of a client never hangs, never fails, and goes on when nobody waits for it any more."""

import asyncio
from contextlib import suppress
from functools import partial
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError

from shared.runtime.kafka.closing import cut_off, end_client, end_tasks, stop_client

SECONDS = 0.05


class FakeConnection:
    """A connection whose socket takes nothing any more: only an abort closes it."""

    def __init__(self):
        self._protocol = SimpleNamespace(_transport=self)
        self.closed = self.aborted = False

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True


class FakeClient:
    """A client with one connection."""

    def __init__(self):
        self.connection = FakeConnection()
        self._conns = {1: self.connection}
        self._md_update_fut = None
        self._sync_task = None


async def fail():
    raise KafkaConnectionError("gone")


async def assert_something():
    raise AssertionError("Did we not perform bootstrap?")


async def be_cancelled():
    raise asyncio.CancelledError


async def hang():
    await asyncio.Event().wait()


@pytest.mark.parametrize("stop", [fail, assert_something, be_cancelled, hang])
async def test_its_sockets_are_closed_however_it_stops(stop):
    """aiokafka closes them last, after all that can fail; a task that it cancels ends its own stop."""
    client = FakeClient()
    await stop_client(stop, SECONDS, partial(end_client, client))
    assert client.connection.closed
    assert client.connection.aborted


async def test_one_that_stops_by_itself_is_not_ended():
    """It has closed its connections itself."""
    client = FakeClient()
    await stop_client(partial(asyncio.sleep, 0), SECONDS, partial(end_client, client))
    assert not client.connection.closed


async def test_it_goes_on_when_nobody_waits_for_it_any_more():
    """A lane whose end is cut off must not leave its producer."""
    client = FakeClient()
    waiting = asyncio.create_task(stop_client(hang, SECONDS, partial(end_client, client)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(2 * SECONDS)
    assert client.connection.closed


async def test_a_caller_is_not_stopped_when_the_end_fails_too():
    """Better a socket left than a service that does not go on."""
    await stop_client(fail, SECONDS, fail)


async def test_a_connection_that_was_just_being_opened_is_closed():
    """Nobody would ever close it."""
    client = FakeClient()
    cut_off(client)
    late = FakeConnection()
    client._conns[2] = late
    assert late.closed
    assert client._conns[2] is late


async def test_who_waits_for_news_of_the_cluster_waits_no_longer():
    """Nobody answers on a closed client."""
    client = FakeClient()
    client._md_update_fut = waited_for = asyncio.get_running_loop().create_future()
    cut_off(client)
    assert await waited_for is False
    assert await client.force_metadata_update() is False
    with pytest.raises(KafkaConnectionError):
        await client.send(1, "request")


async def test_a_task_that_takes_its_cancellation_for_something_else_ends_too():
    """A time-out that comes at the same moment swallows it."""

    async def stubborn():
        with suppress(asyncio.CancelledError):
            await hang()
        await hang()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end_tasks([task, None])
    assert task.done()
