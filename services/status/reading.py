"""Asking the tables for an HTTP answer: on connections of their own, and never for longer than a caller waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.problems import database_down

log = structlog.get_logger(__name__)

_PATIENCE_SECONDS: Final = 1.7


class Database:
    """The tables, for reading."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection. Raises a 503 problem when the database is away or takes longer than 1.7 s."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            log.warning("database_unavailable", reason=str(error) or type(error).__name__)
            raise database_down() from error
