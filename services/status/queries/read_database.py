"""Asking the tables for an HTTP answer: on connections of their own, and never for longer than a caller waits."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.caller_priority import NO_CALLERS, CallerPriority
from shared.runtime.databases import create_sqlite_engine
from shared.runtime.problems import Problem, database_down
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

T = TypeVar("T")
#: Statements, and what is made of their rows: a plain function that waits for nothing but its connection.
Question = Callable[[Connection], T]

_PATIENCE_SECONDS: Final = 1.7
#: More would not answer sooner: each answer takes most of its time in this process.
CONNECTIONS: Final = 5


class ReadDatabase:
    """The tables, for reading. SQLite is asked in threads, PostgreSQL through SQLAlchemy's `run_sync`."""

    def __init__(self, engine: AsyncEngine, priority: CallerPriority = NO_CALLERS) -> None:
        self._engine = engine
        self._priority = priority
        self._sqlite = create_sqlite_engine(engine.url, reading=True) if engine.dialect.name == "sqlite" else None
        self._threads = ThreadPoolExecutor(CONNECTIONS, "sqlite")
        #: What hears every statement that is asked.
        self.statements: Final = self._sqlite or engine.sync_engine

    async def read(self, question: Question[T]) -> T:
        """The answer. Raises a 503 problem when the database is away or takes longer than 1.7 s."""
        try:
            with self._priority.answering():
                return await run_with_timeout(_PATIENCE_SECONDS, self._ask(question))
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            log.warning("database_unavailable", reason=str(error) or type(error).__name__)
            raise database_down() from error

    async def warm_up(self, question: Question[object]) -> None:
        """Asks on every connection, so that they are open, and know the question, when callers come."""
        with contextlib.suppress(Problem):  # it has been logged; whoever comes first opens them
            await asyncio.gather(*(self.read(question) for _ in range(CONNECTIONS)))

    async def close(self) -> None:
        """Closes every connection. What still runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._sqlite:
            self._sqlite.dispose()
        await self._engine.dispose()

    async def _ask(self, question: Question[T]) -> T:
        if self._sqlite:
            return await asyncio.get_running_loop().run_in_executor(self._threads, _whole, self._sqlite, question)
        try:
            return await self._once(question)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        # The connection was from before the database was started last; so were all others, and they are gone too.
        return await self._once(question)

    async def _once(self, question: Question[T]) -> T:
        async with self._engine.connect() as connection:
            return await connection.run_sync(question)


def _whole(engine: Engine, question: Question[T]) -> T:
    with engine.connect() as connection:
        return question(connection)
