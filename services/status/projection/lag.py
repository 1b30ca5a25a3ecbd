"""How many records are still to be projected, as far as the broker last said."""

from collections.abc import Collection, Mapping

from aiokafka import TopicPartition

from services.status.metrics import LAG


class Lag:
    """The lag of this replica's partitions. It is unknown where the broker has not yet said where a partition ends."""

    def __init__(self) -> None:
        self._behind: dict[TopicPartition, int | None] = {}

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        """Only these count now."""
        for partition in self._behind.keys() - set(partitions):
            LAG.remove(partition.topic, str(partition.partition))
        self._behind = dict.fromkeys(partitions)

    def measure(self, placed: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> None:
        """Where the projection is, and where the topics end."""
        for partition in placed.keys() & ends.keys() & self._behind.keys():
            behind = max(ends[partition] - placed[partition], 0)
            self._behind[partition] = behind
            LAG.labels(partition.topic, str(partition.partition)).set(behind)

    def describe(self) -> str:
        """For a person."""
        if not self._behind:
            return "no partitions here: other replicas have them"
        if None in self._behind.values():
            return "waiting to hear where the topics end"
        return f"{sum(filter(None, self._behind.values()))} records behind"
