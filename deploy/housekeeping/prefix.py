"""The beginning of a partition that nobody needs: it ends with the first record that somebody does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from deploy.housekeeping.needs import Limit
from shared.contract.cloud_events import header
from shared.contract.topics import Topics

_POLL_MS = 200
_BATCH_RECORDS = 5_000

#: Why a record is needed; None when it is not.
Need = Callable[[ConsumerRecord], str | None]


@dataclass(frozen=True, slots=True)
class Prefix:
    """Offsets from `begin` to before `end` can go; from `end` on the reason holds."""

    partition: TopicPartition
    begin: int
    end: int
    reason: str

    @property
    def offsets(self) -> int:
        """How many can go."""
        return self.end - self.begin

    def line(self, done: str) -> str:
        """For a person; `done`: what happens to it."""
        name = f"{self.partition.topic}-{self.partition.partition}"
        what = f"{done} offsets {self.begin} to {self.end - 1}" if self.offsets else "nothing to delete"
        return f"{name}: {what}; from {self.end} on kept: {self.reason}"


def job_of(record: ConsumerRecord, topics: Topics) -> str:
    """The job that a record is about: its key, without the row."""
    key: str = (record.key or b"").decode(errors="replace")
    return key.rpartition(":")[0] if record.topic in topics.rows else key


class PrefixSearch:
    """Takes a partition's records from its beginning. Pure: no Kafka, no clock."""

    def __init__(self, partition: TopicPartition, begin: int, limit: Limit, need: Need) -> None:
        self._partition = partition
        self._begin = begin
        self._limit = limit
        self._need = need
        self._found: Limit | None = None
        #: A pause of all sending that holds unless it is ended later. Who starts afterwards must find it.
        self._pause: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether no record behind can change the answer."""
        return self._found is not None

    def take(self, records: Iterable[ConsumerRecord]) -> None:
        """The next ones."""
        for record in records:
            if self._found is not None:
                return
            if record.offset >= self._limit.offset:
                self._found = self._limit
            elif (reason := self._need(record)) is not None:
                self._found = Limit(record.offset, reason)
            else:
                self._note_pause(record)

    def _note_pause(self, record: ConsumerRecord) -> None:
        kind = header(record.headers, "ce_type")
        if kind == "SendingPaused":
            self._pause = record.offset
        elif kind == "SendingResumed":
            self._pause = None

    def result(self, position: int) -> Prefix:
        """The answer when everything before `position` was taken."""
        end = self._found or min(self._limit, Limit(position, "the partition ends there"))
        if self._pause is not None:
            end = min(end, Limit(self._pause, "sending is paused"))
        return Prefix(self._partition, self._begin, max(end.offset, self._begin), end.reason)


async def find_prefix(
    consumer: AIOKafkaConsumer, at: TopicPartition, limit: Limit, need: Need, last: dict[str, int] | None = None
) -> Prefix:
    """Reads the partition from its beginning, only as far as necessary; with `last` all of it, for the offset of the

    last record of every key. Raises KafkaError.
    """
    consumer.assign([at])
    begin = (await consumer.beginning_offsets([at]))[at]
    end = (await consumer.end_offsets([at]))[at]
    consumer.seek(at, begin)
    search = PrefixSearch(at, begin, limit, need)
    while await consumer.position(at) < end and (last is not None or not search.is_over):
        for records in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH_RECORDS)).values():
            search.take(records)
            if last is not None:
                last.update(((record.key or b"").decode(errors="replace"), record.offset) for record in records)
    return search.result(await consumer.position(at))
