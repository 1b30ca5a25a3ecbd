"""Where this replica is in each of its partitions, and how far each has come. Pure: no Kafka, no database."""

from collections.abc import Iterable, Mapping

from aiokafka import TopicPartition

from services.status.tables.stored_offsets import Step


class Positions:
    """The partitions of this replica. After every assignment all of them have to be found anew in the database."""

    def __init__(self) -> None:
        self._unplaced: set[TopicPartition] = set()
        self._at: dict[TopicPartition, int] = {}
        self._read: dict[TopicPartition, int] = {}
        self._caught_up: set[TopicPartition] = set()

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """These are ours now, and only these; where we are in them is not known."""
        self._unplaced = set(partitions)
        self._at, self._read = {}, {}
        self._caught_up = set()

    def invalidate(self) -> None:
        """A transaction failed: only the database knows now how far each partition is."""
        self._unplaced |= set(self._at)
        self._at, self._read = {}, {}
        # It may be further back than we were: the tables may have been made again.
        self._caught_up = set()

    def place(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The database said where to go on. Returns where to seek: not in what was taken from us meanwhile."""
        found = {partition: offsets[partition] for partition in self._unplaced & offsets.keys()}
        self._at |= found
        self._read |= found
        self._unplaced -= found.keys()
        return found

    @property
    def unplaced(self) -> set[TopicPartition]:
        """Partitions whose offset has to be read from the database, and sought."""
        return set(self._unplaced)

    @property
    def placed(self) -> dict[TopicPartition, int]:
        """The offset that comes next, of every partition whose records count."""
        return dict(self._at)

    def holds(self, partition: TopicPartition) -> bool:
        """Whether records of this partition count: not before it was sought in this assignment."""
        return partition in self._at

    def read(self, reached: Mapping[TopicPartition, int]) -> list[Step]:
        """What was read now, as the way from what was read before; nothing for a partition that has not moved."""
        steps = [
            Step(partition.topic, partition.partition, self._read[partition], offset)
            for partition, offset in reached.items()
            if offset != self._read[partition]
        ]
        self._read |= reached
        return steps

    def advance(self, steps: Iterable[Step]) -> None:
        """The steps were committed."""
        for step in steps:
            partition = TopicPartition(step.topic, step.partition)
            if self._at.get(partition) == step.expected:
                self._at[partition] = step.reached

    def observe_end(self, partition: TopicPartition, end: int) -> None:
        """Where the broker says that a partition ends. Once that is reached, the partition is caught up."""
        if partition in self._at and self._at[partition] >= end:
            self._caught_up.add(partition)

    def caught_up(self, topic: str) -> list[int]:
        """The partitions of a topic that are ours and have been read to their end since they were assigned."""
        return [partition.partition for partition in self._caught_up if partition.topic == topic]
