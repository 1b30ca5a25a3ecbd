"""Finds the beginning of a partition that can be deleted: all records before the first one that is needed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from deploy.housekeeping.needs import Limit
from shared.contract.cloud_events import header
from shared.contract.topics import Topics

_POLL_MS = 200
_BATCH_RECORDS = 5_000

#: Returns why a record is needed; None when it is not.
Need = Callable[[ConsumerRecord], str | None]


@dataclass(frozen=True, slots=True)
class Prefix:
    """Offsets from `begin` to before `end` can be deleted. `reason`: why the record at `end` is kept."""

    partition: TopicPartition
    begin: int
    end: int
    reason: str

    @property
    def offsets(self) -> int:
        """The number of offsets that can be deleted."""
        return self.end - self.begin

    def line(self, done: str) -> str:
        """A line to print. `done`: "deleted" or "would delete"."""
        name = f"{self.partition.topic}-{self.partition.partition}"
        what = f"{done} offsets {self.begin} to {self.end - 1}" if self.offsets else "nothing to delete"
        return f"{name}: {what}; from {self.end} on kept: {self.reason}"


def job_of(record: ConsumerRecord, topics: Topics) -> str:
    """The job that a record is about: its key, without the row."""
    key: str = (record.key or b"").decode(errors="replace")
    return key.rpartition(":")[0] if record.topic in topics.rows else key


class PrefixSearch:
    """Finds the prefix from the partition's records, added in order from its beginning. Pure."""

    def __init__(self, partition: TopicPartition, begin: int, limit: Limit, need: Need) -> None:
        self._partition = partition
        self._begin = begin
        self._limit = limit
        self._need = need
        self._found: Limit | None = None
        #: The offset of a SendingPaused without a later SendingResumed: a processor that starts later must read it.
        self._pause: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether later records cannot change the result."""
        return self._found is not None

    def add(self, records: Iterable[ConsumerRecord]) -> None:
        """Adds the next records."""
        for record in records:
            if self._found is not None:
                return
            if record.offset >= self._limit.offset:
                self._found = self._limit
            elif (reason := self._need(record)) is not None:
                self._found = Limit(record.offset, reason)
            else:
                self._remember_pause(record)

    def _remember_pause(self, record: ConsumerRecord) -> None:
        kind = header(record.headers, "ce_type")
        if kind == "SendingPaused":
            self._pause = record.offset
        elif kind == "SendingResumed":
            self._pause = None

    def result(self, position: int) -> Prefix:
        """The prefix, when all records before `position` were added."""
        end = self._found or min(self._limit, Limit(position, "the partition ends there"))
        if self._pause is not None:
            end = min(end, Limit(self._pause, "sending is paused"))
        return Prefix(self._partition, self._begin, max(end.offset, self._begin), end.reason)


async def find_prefix(
    consumer: AIOKafkaConsumer, at: TopicPartition, limit: Limit, need: Need, last: dict[str, int] | None = None
) -> Prefix:
    """Reads the partition from its beginning, as far as necessary. Raises KafkaError.

    With `last` it reads all of it, and puts the offset of each key's last record there.
    """
    consumer.assign([at])
    begin = (await consumer.beginning_offsets([at]))[at]
    end = (await consumer.end_offsets([at]))[at]
    consumer.seek(at, begin)
    search = PrefixSearch(at, begin, limit, need)
    while await consumer.position(at) < end and (last is not None or not search.is_complete):
        for records in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH_RECORDS)).values():
            search.add(records)
            if last is not None:
                last.update(((record.key or b"").decode(errors="replace"), record.offset) for record in records)
    return search.result(await consumer.position(at))
