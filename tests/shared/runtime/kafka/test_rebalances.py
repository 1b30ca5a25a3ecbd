"""What goes wrong in a rebalance is heard by whoever polls: aiokafka only logs it."""

import pytest
from aiokafka import TopicPartition

from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.rebalances import AssignmentLost, RebalanceListener

ASSIGNED = [TopicPartition("hospital.jobs", 0)]


class Listener(RebalanceListener):
    """Fails as it is told to."""

    error: Exception | None = None

    def revoke(self):
        """Fails."""
        self.assign(set())

    def assign(self, assigned):
        """Fails."""
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("step", ["on_partitions_revoked", "on_partitions_assigned"])
async def test_an_error_in_a_rebalance_makes_the_consumer_anew(step):
    """Otherwise partitions would be ours that nobody reads, without another word."""
    listener = Listener()
    listener.error = RuntimeError("a bug")
    await getattr(listener, step)(ASSIGNED)
    with pytest.raises(AssignmentLost, match="a bug"):
        listener.check_assignment()
    listener.check_assignment()  # the next consumer has done nothing wrong
    assert issubclass(AssignmentLost, KAFKA_FAILURES)


async def test_a_rebalance_in_which_nothing_goes_wrong_is_none():
    """It is the usual one."""
    listener = Listener()
    await listener.on_partitions_revoked([])
    await listener.on_partitions_assigned(ASSIGNED)
    listener.check_assignment()
