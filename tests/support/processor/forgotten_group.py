"""A consumer group that Kafka forgets, with its offsets."""

from aiokafka.protocol.admin import DeleteGroupsRequest

from shared.runtime.kafka import kafka_options
from shared.runtime.settings import KafkaSettings
from tests.support.until import until

SECONDS = 20.0


async def forget_group(settings: KafkaSettings) -> None:
    """What Kafka does by itself when no processor was in the group for `offsets.retention.minutes`."""
    group = settings.topics.group("processor")
    admin = kafka_options.admin_client(settings)
    await admin.start()
    try:
        coordinator = await admin.find_coordinator(group)

        async def deleted() -> bool:
            answer = await admin._send_request(DeleteGroupsRequest([group]), coordinator)
            return answer.results[0][1] == 0

        await until("the group is deleted", deleted, SECONDS)
    finally:
        await admin.close()
