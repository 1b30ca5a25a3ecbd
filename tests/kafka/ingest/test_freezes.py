"""Kafka freezes again and again: what ingest had under way is given up, and nothing of it stays open."""

from tests.support.ingest.frozen_uploads import assert_nothing_is_left


async def test_nothing_is_left_open_by_uploads_that_were_given_up(own_broker):
    """Neither tasks nor sockets: a producer whose end was cut off went on looking for its coordinator for ever."""
    await assert_nothing_is_left(own_broker(), freezes=3)
