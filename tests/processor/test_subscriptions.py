"""A consumer that is stopped leaves nothing, whatever state it and Kafka are in."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from services.processor.subscriptions import stop_subscriber


class FakeSubscriber:
    """A subscriber whose stop ends as `stop` does; it is its own consumer, client and connection."""

    _md_update_fut = _sync_task = _protocol = None

    def __init__(self, stop):
        self.stop = stop
        self.consumer = self._client = self
        self._coordinator = self._fetcher = None
        self._conns = {1: self}
        self.closed = False

    def close(self):
        self.closed = True


async def fail():
    raise KafkaConnectionError("gone")


async def assert_something():
    raise AssertionError("Did we not perform bootstrap?")


async def hang():
    await asyncio.Event().wait()


@pytest.mark.parametrize("stop", [fail, assert_something, hang])
async def test_its_connections_are_closed_however_it_stops(stop):
    """aiokafka closes them last, after all that can fail."""
    subscriber = FakeSubscriber(stop)
    await stop_subscriber(subscriber, 0.05)
    assert subscriber.closed


async def test_one_that_has_not_connected_yet_is_left_alone():
    """There is no consumer before the first start."""
    subscriber = FakeSubscriber(fail)
    subscriber.consumer = None
    await stop_subscriber(subscriber)
    assert not subscriber.closed
