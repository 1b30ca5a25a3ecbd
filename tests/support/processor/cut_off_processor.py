"""`services.processor`, cut off from the coordinator of its consumer group while $CUT_OFF_FILE exists.

What is sent to the group's coordinator gets no answer; everything else works. It is run as a module, like the service.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import RequestTimedOutError

from services.processor.program import main

#: OffsetCommit, OffsetFetch, JoinGroup, Heartbeat, LeaveGroup, SyncGroup, TxnOffsetCommit
TO_THE_GROUP_COORDINATOR = {8, 9, 11, 12, 13, 14, 28}
ANSWER_SECONDS = 10

_send = AIOKafkaClient.send


def is_cut_off() -> bool:
    """Whether the coordinator is out of reach now."""
    return Path(os.environ["CUT_OFF_FILE"]).exists()


async def send(self: AIOKafkaClient, node_id: int, request: Any, **options: Any) -> Any:
    """As the client's own, but for what goes to the coordinator."""
    if request.API_KEY in TO_THE_GROUP_COORDINATOR and is_cut_off():
        await asyncio.sleep(ANSWER_SECONDS)
        raise RequestTimedOutError
    return await _send(self, node_id, request, **options)


if __name__ == "__main__":
    AIOKafkaClient.send = send
    main()
