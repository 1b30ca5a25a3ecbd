"""Writes to the simulated topics as other services do, and reads them as a read_committed reader."""

import struct
from collections.abc import Iterable

from aiokafka import TopicPartition
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from shared.contract.cloud_events import Headers, decode, encode
from shared.contract.events import Event
from shared.runtime.kafka.partitions import partition_of
from tests.simulation.kafka.cluster import Cluster
from tests.simulation.kafka.log import READ_COMMITTED

Record = tuple[bytes | None, bytes | None, Headers]
_NOW_MS = 1_800_000_000_000


class OpenTransaction:
    """A transaction of a service that is not simulated. It hides what comes behind it, until it has ended."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._producer_id = cluster.transactions.new_producer()
        self._written: dict[TopicPartition, int] = {}

    def write(self, events: Iterable[tuple[str, Event]]) -> None:
        """Appends events of topics by their keys."""
        by_partition: dict[TopicPartition, list[Record]] = {}
        for topic, event in events:
            record = encode(event, "simulation")
            where = TopicPartition(topic, partition_of(record.key, len(self._cluster.topics[topic])))
            by_partition.setdefault(where, []).append((record.key, record.value, record.headers))
        for where, records in by_partition.items():
            self.write_raw(where, records)

    def write_raw(self, where: TopicPartition, records: list[Record]) -> None:
        """Appends records of any kind to a partition."""
        sequence = self._written.get(where, 0)
        builder = DefaultRecordBatchBuilder(2, 0, 1, self._producer_id, 0, sequence, 1 << 22)
        for number, (key, value, headers) in enumerate(records):
            builder.append(number, _NOW_MS, key, value, headers)
        self._written[where] = sequence + len(records)
        log = self._cluster.log(where)
        log.append(bytes(builder.build()))
        self._cluster.changed(log)

    def end(self, *, commit: bool) -> None:
        """Commits or aborts it."""
        for where in self._written:
            log = self._cluster.log(where)
            log.end_transaction(self._producer_id, 0, commit=commit)
            self._cluster.changed(log)


def publish(cluster: Cluster, events: Iterable[tuple[str, Event]]) -> None:
    """Writes events in one committed transaction."""
    transaction = OpenTransaction(cluster)
    transaction.write(events)
    transaction.end(commit=True)


class CommittedReader:
    """What a read_committed reader sees of a topic; asked again, it reads only what is new."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self._cluster = cluster
        self._topic = topic
        self._positions = [0] * len(cluster.topics[topic])

    def read(self) -> list[Event]:
        """The new events that can be decoded."""
        return [decode(headers, value) for key, value, headers in self.records() if headers and value is not None]

    def records(self) -> list[Record]:
        """The new records."""
        found: list[Record] = []
        for index, log in enumerate(self._cluster.topics[self._topic]):
            while True:
                data, aborted = log.read(self._positions[index], READ_COMMITTED)
                if not data:
                    break
                found += self._take(index, data, aborted, {marker[:2]: marker[2] for marker in log.aborted})
        return found

    def _take(
        self, index: int, data: bytes, aborted: list[tuple[int, int]], markers: dict[tuple[int, int], int]
    ) -> list[Record]:
        found: list[Record] = []
        batches = MemoryRecords(data)
        while (batch := batches.next_batch()) is not None:
            first = batch.base_offset
            hidden = batch.is_control_batch or any(
                who == batch.producer_id and begun <= first < markers[who, begun] for who, begun in aborted
            )
            if not hidden:
                found += [(record.key, record.value, list(record.headers)) for record in batch]
            self._positions[index] = batch.next_offset
        return found


def cut_value(value: bytes) -> bytes:
    """A value that nobody can decode any more."""
    return value[: len(value) // 2] + struct.pack(">b", 1)
