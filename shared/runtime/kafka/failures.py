"""What goes wrong with Kafka: one tuple for all services."""

from typing import Final

from aiokafka.errors import ConsumerStoppedError, KafkaConnectionError, KafkaError

#: What aiokafka raises when something is wrong with Kafka, or with the way to it: whoever gets it makes the client
#: anew and tries again. It also asserts, for example with the empty metadata of a broker that has just come back ("Did
#: we not perform bootstrap?"), and a consumer that it stopped by itself says so. We do not assert ourselves.
KAFKA_FAILURES: Final = (KafkaError, ConsumerStoppedError, OSError, TimeoutError, AssertionError)


class ClientEnded(KafkaConnectionError):  # type: ignore[misc]  # aiokafka has no types
    """We have ended the client by force: nothing is sent any more."""
