"""How the processor writes single events. Results of rows go through the lanes' transactions."""

import asyncio
from typing import Final

import structlog

from shared.contract.events import Event
from shared.runtime.publisher import KafkaUnavailable, Publisher

log = structlog.get_logger(__name__)

SEND_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 1.0


async def send_until_written(publisher: Publisher, topic: str, event: Event) -> None:
    """Returns when the event is on its topic, however long Kafka is away. It may be there twice then."""
    while True:
        try:
            return await publisher.send(topic, event, SEND_SECONDS)
        except KafkaUnavailable as error:
            log.warning("event_not_written", event_id=event.event_id, reason=str(error), next="again")
            await asyncio.sleep(_RETRY_SECONDS)
