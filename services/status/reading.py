"""Asking the tables for an HTTP answer: on connections of their own, and never for longer than a caller waits."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.status.courtesy import ALONE, Courtesy
from shared.patience import within
from shared.problems import database_down

log = structlog.get_logger(__name__)

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 1.7


class Database:
    """The tables, for reading."""

    def __init__(self, engine: AsyncEngine, courtesy: Courtesy = ALONE) -> None:
        self._engine = engine
        self._courtesy = courtesy

    async def read(self, question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """The answer. Raises a 503 problem when the database is away or takes longer than 1.7 s."""
        try:
            with self._courtesy.answering():
                return await within(_PATIENCE_SECONDS, self._ask(question))
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            log.warning("database_unavailable", reason=str(error) or type(error).__name__)
            raise database_down() from error

    async def _ask(self, question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._engine.connect() as connection:
            return await question(connection)
