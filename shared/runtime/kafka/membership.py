"""Whether a consumer is still a member of its group, in the group's present generation."""

from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.group import HeartbeatRequest

from shared.runtime.timeouts import run_with_timeout

ANSWER_SECONDS: Final = 5.0


async def prove_membership(consumer: AIOKafkaConsumer) -> None:
    """Returns when the group's coordinator has just taken a heartbeat of this member's generation.

    Raises one of KAFKA_FAILURES otherwise: also while the group rebalances, since the assignment is about
    to end.

    A heartbeat is what Kafka checks against the generation without changing anything. A consumer's commit is checked
    too, but every partition that we may commit for has an owner: a commit of what was read a moment ago could
    overwrite a newer one that the owner's transaction has just written, and hide rows that were sent since.
    aiokafka has no public method that sends a heartbeat, or that tells the member's id.
    """
    coordinator = consumer._coordinator
    request = HeartbeatRequest(coordinator.group_id, coordinator.generation, coordinator.member_id)
    response = await run_with_timeout(ANSWER_SECONDS, coordinator._send_req(request))
    error = for_code(response.error_code)
    if error is not NoError:
        raise error(f"{coordinator.member_id} is no member of generation {coordinator.generation}")


def is_member(consumer: AIOKafkaConsumer) -> bool:
    """Whether the group has not gone on without this consumer, as far as that is known here."""
    generation: int = consumer._coordinator.generation
    return generation > 0


def ask_for_rebalance(consumer: AIOKafkaConsumer) -> None:
    """Lets the consumer join its group once more, so that its partitions are shared out anew.

    aiokafka has no public method for it, though other clients do (`enforceRebalance`).
    """
    consumer._coordinator.request_rejoin()
