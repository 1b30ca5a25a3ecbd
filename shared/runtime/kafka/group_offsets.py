"""What a consumer group has committed. aiokafka's consumer drops the metadata, the admin client does not."""

from collections.abc import Iterable
from typing import Final, Self

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from shared.runtime.kafka import kafka_options
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

#: How long a read may take.
READ_SECONDS: Final = 10.0


class GroupOffsets:
    """A connection to read commits with: an async context manager.

    Raises one of KAFKA_FAILURES, TimeoutError after 10 s, when Kafka or the group's coordinator is away.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._admin = kafka_options.admin_client(settings)

    async def __aenter__(self) -> Self:
        try:
            await run_with_timeout(READ_SECONDS, self._admin.start())
        except BaseException:
            await self._admin.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def read(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """The commits of a group for these partitions. Partitions without one are left out."""
        reading = self._admin.list_consumer_group_offsets(group, partitions=list(partitions))
        found = await run_with_timeout(READ_SECONDS, reading)
        return {where: commit for where, commit in found.items() if commit.offset >= 0}

    async def members(self, group: str) -> int:
        """How many members the group has now."""
        [answer] = await run_with_timeout(READ_SECONDS, self._admin.describe_consumer_groups([group]))
        [(_error, _group, _state, _protocol_type, _protocol, members, *_)] = answer.groups
        return len(members)
