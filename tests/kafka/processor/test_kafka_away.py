"""A processor whose Kafka has gone, for good perhaps."""

import asyncio

import aiokafka.client

from services.processor.settings import ProcessorSettings
from services.processor.subscriptions import declare
from shared.runtime.kafka.topic_admin import create_missing_topics

AWAY_SECONDS = 5.0
#: Of the two consumers: several tasks of each try every RETRY_BACKOFF_MS. At aiokafka's own 100 ms: 22 a second.
MOST_CONNECTIONS_A_SECOND = 12


async def test_consumers_whose_kafka_is_away_try_seldom_to_connect(own_broker, topic_prefix, monkeypatch):
    """At aiokafka's own pace an orphan, whom nobody ends, would use a twentieth of a core for ever."""
    broker = own_broker()
    settings = ProcessorSettings(
        kafka_bootstrap_servers=broker.bootstrap, kafka_topic_prefix=topic_prefix, kafka_replication_factor=1
    )
    await create_missing_topics(settings)
    subscriptions = declare(settings)
    consumers = [subscriptions.lanes, subscriptions.notices]
    await subscriptions.broker.connect()
    for subscriber in consumers:
        await subscriber.start()
    tried, connect = [], aiokafka.client.create_conn
    monkeypatch.setattr(
        aiokafka.client, "create_conn", lambda *where, **options: tried.append(where) or connect(*where, **options)
    )
    broker.kill()
    await asyncio.sleep(AWAY_SECONDS)
    assert 0 < len(tried) / AWAY_SECONDS < MOST_CONNECTIONS_A_SECOND
    async with asyncio.timeout(20):
        await asyncio.gather(*(subscriber.stop() for subscriber in consumers))
