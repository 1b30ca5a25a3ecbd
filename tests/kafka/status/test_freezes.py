"""Kafka freezes again and again: what status had under way is given up, and nothing of it stays open."""

from tests.support.status.frozen_service import assert_nothing_is_left, settings_on


async def test_nothing_is_left_open_by_a_service_whose_broker_froze(own_broker, tmp_path):
    """Neither tasks nor sockets, and nobody complains: a consumer that was cut off went on fetching for ever."""
    broker = own_broker()
    await assert_nothing_is_left(await settings_on(broker, tmp_path), broker, freezes=2)
