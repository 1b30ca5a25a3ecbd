"""Kafka freezes again and again: what ingest had under way is given up, and nothing of it stays open."""

from shared.runtime.kafka.topic_admin import create_missing_topics
from shared.runtime.settings import KafkaSettings
from tests.support.ingest.frozen_uploads import Uploads, freeze
from tests.support.open_ends import held, is_left, no_complaints

FREEZES = 3


async def test_nothing_is_left_open_by_uploads_that_were_given_up(own_broker):
    """Neither tasks nor sockets: a producer whose end was cut off went on looking for its coordinator for ever."""
    broker = own_broker()
    settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap, kafka_topic_partitions=1)
    await create_missing_topics(settings)
    uploads, before = Uploads(settings), held()
    with no_complaints():
        for number in range(FREEZES):
            await freeze(uploads, broker, number)
        await is_left(before)
