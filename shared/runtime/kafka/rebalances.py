"""Listens to the rebalances of a consumer's group, so that no error in it is lost.

aiokafka logs what a listener raises, and goes on: partitions are assigned then that nobody seeks, and nobody reads.
"""

from collections.abc import Iterable

from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError


class AssignmentLost(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """Something went wrong while Kafka told us our partitions, and aiokafka only logs that. Make the consumer anew."""


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Calls `revoke` and `assign`, and keeps what they raise for whoever polls. The heartbeat waits for both."""

    _failure: AssignmentLost | None = None

    def revoke(self) -> None:
        """Nothing is ours any more, until the next assignment."""
        raise NotImplementedError

    def assign(self, assigned: set[TopicPartition]) -> None:
        """These are ours now, and only these."""
        raise NotImplementedError

    def check_assignment(self) -> None:
        """Raises AssignmentLost when a rebalance went wrong: then the consumer has to be made anew."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002 - it is always all
        """For aiokafka."""
        try:
            self.revoke()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be lost
            self._failure = AssignmentLost(repr(error))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """For aiokafka."""
        try:
            self.assign(set(assigned))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be lost
            self._failure = AssignmentLost(repr(error))
