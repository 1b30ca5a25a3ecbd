"""Asking the tables for an answer: on connections of their own, before the projection, and for a limited time."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.caller_priority import NO_CALLERS, CallerPriority
from shared.runtime.databases import Database, DatabaseDown
from shared.runtime.http.problems import Problem, database_down

T = TypeVar("T")
#: Statements, and what is made of their rows: a plain function that waits for nothing but its connection.
Question = Callable[[Connection], T]

#: More would not answer sooner: each answer takes most of its time in this process.
CONNECTIONS: Final = 5
_WARM_UP_SECONDS: Final = 5.0


class ReadDatabase:
    """The tables, for reading. While somebody is answered, the projection works less."""

    def __init__(self, engine: AsyncEngine, priority: CallerPriority = NO_CALLERS) -> None:
        self._database = Database(engine, CONNECTIONS, reading=True)
        self._priority = priority

    @property
    def statements(self) -> Engine:
        """What hears every statement, for SQLAlchemy's events."""
        return self._database.statements

    async def read(self, question: Question[T], seconds: float) -> T:
        """The answer. Raises a 503 problem when the database is away, or takes longer than so many seconds."""
        try:
            with self._priority.answering():
                return await self._database.run(question, seconds)
        except DatabaseDown as error:
            raise database_down() from error

    async def warm_up(self, question: Question[object]) -> None:
        """Opens every connection and asks on it, so that the first callers need not wait for that."""
        with contextlib.suppress(Problem):  # it has been logged; the first callers open the connections
            await asyncio.gather(*(self.read(question, _WARM_UP_SECONDS) for _ in range(CONNECTIONS)))

    async def close(self) -> None:
        """Closes every connection. What still runs ends by itself."""
        await self._database.close()
