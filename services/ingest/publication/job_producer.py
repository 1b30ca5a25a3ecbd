"""A producer for one job, on a connection that served other jobs before.

aiokafka's own makes a connection for itself alone, and its transactional id is for its whole life. One id a job is what
settling needs; one connection a job is not, and costs more than all the rest.
"""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer

from services.ingest.publication.connection_pool import Connection


class JobProducer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """Started and ended on a connection that stays open."""

    def __init__(self, connection: Connection, **options: Any) -> None:
        super().__init__(**options)
        self._connection = connection
        # The client made for this producer has not connected; everything that refers to it gets the other one.
        self.client = self._sender.client = connection.client
        self._metadata = self._message_accumulator._cluster = connection.client.cluster

    async def start(self) -> None:
        """Connects if need be, and fences whoever had its transactional id before."""
        await self._connection.open()
        await self._sender.start()

    async def end(self) -> None:
        """Ends it without its connection. For a producer that has nothing in flight."""
        self._closed = True
        sending = self._sender.sender_task
        sending.cancel()
        await asyncio.wait({sending})
