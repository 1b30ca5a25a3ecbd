"""What a read_committed reader sees of a topic; asked again, it fetches only what is new."""

from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.contract.cloud_events import decode
from shared.contract.events import Event
from shared.runtime.kafka import kafka_options
from shared.runtime.settings import KafkaSettings


class TopicReader:
    """A reader from the start of a topic; an async context manager. It outlives a broker that comes back."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        known = next(each for each in settings.topics.all() if each.name == topic)
        self._partitions = [TopicPartition(topic, index) for index in range(known.partitions)]
        self._consumer = AIOKafkaConsumer(**kafka_options.consumer_options(settings))
        self.records: list[ConsumerRecord] = []
        self._events: list[Event] = []

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(self._partitions)
        await self._consumer.seek_to_beginning(*self._partitions)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read(self) -> list[ConsumerRecord]:
        """All records up to what is committed now. Raises KafkaError when the broker is away."""
        ends = await self._consumer.end_offsets(self._partitions)
        while any([await self._consumer.position(where) < end for where, end in ends.items()]):
            for records in (await self._consumer.getmany(timeout_ms=200)).values():
                self.records += records
        return self.records

    async def events(self) -> list[Event]:
        """The same, decoded."""
        for record in (await self.read())[len(self._events) :]:
            self._events.append(decode(record.headers, record.value))
        return list(self._events)
