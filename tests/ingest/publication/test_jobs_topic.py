"""Reading the topic of jobs while aiokafka raises whatever it raises."""

import pytest
from aiokafka.errors import ConsumerStoppedError, KafkaConnectionError

from services.ingest.publication.jobs_topic import EndsUnknown, JobsTopic
from shared.runtime.settings import KafkaSettings


class FailingConsumer:
    """Raises at its start. Its end never fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def start(self) -> None:
        """Fails."""
        raise self._error

    async def stop(self, seconds: float) -> None:
        """Leaves nothing behind."""


class FailingTopic(JobsTopic):
    """The topic of a Kafka on which nothing works."""

    def __init__(self, error: Exception) -> None:
        super().__init__(KafkaSettings())
        self._error = error

    def _consumer(self, _: str) -> FailingConsumer:
        return FailingConsumer(self._error)


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("Did we not perform bootstrap?"),
        ConsumerStoppedError(),
        KafkaConnectionError(),
        OSError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_goes_wrong_leaves_the_ends_unknown(error):
    """The next turn of the loop asks again; a bare assertion ended it, and recovery went on with old ends."""
    topic = FailingTopic(error)

    with pytest.raises(EndsUnknown):
        await topic.refresh(1)
    with pytest.raises(EndsUnknown):
        await topic.lower_bound(0, 1)
    with pytest.raises(EndsUnknown):
        topic.check()
