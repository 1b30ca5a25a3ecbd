"""A consumer as it was one generation of its group ago: it has not heard of the last rebalance."""

from types import SimpleNamespace
from typing import Any

from aiokafka import AIOKafkaConsumer


def of_the_generation_before(consumer: AIOKafkaConsumer) -> Any:
    """The same member for whoever asks it to prove that. The consumer itself goes on with its heartbeats."""
    return _Former(consumer)


class _Former:
    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        known = consumer._coordinator
        self._consumer = consumer
        self._coordinator = SimpleNamespace(
            group_id=known.group_id,
            member_id=known.member_id,
            generation=known.generation - 1,
            _send_req=known._send_req,
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)
