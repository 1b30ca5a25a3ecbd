"""The broker that the tests of a run share, in a container or not."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def test_it_takes_transactions_and_group_offsets(kafka_bootstrap: str, topic_prefix: str):
    """What every test of a service needs of it, reached from this machine."""
    partition = TopicPartition(f"{topic_prefix}rows", 0)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=f"{topic_prefix}lane-0")
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap, group_id=f"{topic_prefix}processors")
    for client in (admin, producer, consumer):
        await client.start()
    try:
        await admin.create_topics([NewTopic(partition.topic, num_partitions=1, replication_factor=1)])
        async with producer.transaction():
            sent = await producer.send_and_wait(partition.topic, b"row")
            await producer.send_offsets_to_transaction({partition: 1}, f"{topic_prefix}processors")
        assert sent.offset == 0
        assert await consumer.committed(partition) == 1
    finally:
        await consumer.stop()
        await producer.stop()
        await admin.close()
