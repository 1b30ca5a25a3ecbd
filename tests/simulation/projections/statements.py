"""A SQLite whose statements take simulated time: each is one step of the world. No thread, and no real waiting.

It stands in aiosqlite's own place for its thread. A statement that finds the database locked is tried again a little
later, as SQLite does by sleeping. A machine that dies loses its connections, and what it had not committed.
"""

import asyncio
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import aiosqlite
from aiosqlite.core import Connection

from tests.simulation.virtual_loop import Machine, VirtualLoop

#: As SQLite's busy_timeout of the services.
LOCKED_SECONDS = 5.0


class _Unblocking(sqlite3.Connection):
    """Never waits for a lock by itself."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cursors: list[sqlite3.Cursor] = []

    def cursor(self, *_: Any) -> Any:
        self.cursors.append(made := super().cursor(_Cursor))
        return made

    def break_off(self) -> None:
        """Closes it in whatever state it is. A cursor that was not read to its end would keep its lock."""
        with suppress(sqlite3.Error):  # it is closed already
            for cursor in self.cursors:
                cursor.close()
            self.rollback()
        self.close()


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, *parameters: Any) -> Any:
        return super().execute("PRAGMA busy_timeout=0" if "busy_timeout" in sql else sql, *parameters)


class _NoThread:
    """aiosqlite starts one for each connection."""

    def start(self) -> None:
        """There is none."""


class StatementServer:
    """What all connections of one simulation are served by. `level`: how likely each statement meets trouble."""

    def __init__(self, loop: VirtualLoop, level: float) -> None:
        self.level = level
        self.happened: Counter[str] = Counter()
        #: Told of each statement, just before it is asked for.
        self.on_moment: Callable[[], None] = lambda: None
        self._loop = loop
        self._connections: dict[Machine, list[_Unblocking]] = defaultdict(list)

    def connect(self, database: str, **options: Any) -> Connection:
        """In place of `aiosqlite.connect`."""
        machine = self._loop.machine

        def connector() -> _Unblocking:
            made = sqlite3.connect(database, factory=_Unblocking, **{**options, "check_same_thread": False})
            self._connections[machine].append(made)
            return made

        connection = Connection(connector, 64)
        connection._thread = _NoThread()  # type: ignore[assignment]
        connection._tx = _Statements(self, machine)  # type: ignore[assignment]
        return connection

    def run(self, machine: Machine, answer: "asyncio.Future[Any] | None", statement: Callable[[], Any]) -> None:
        """Runs a statement some time from now."""
        self.on_moment()
        chance = self._loop.chance
        broken = chance.random() < self.level
        self.happened["statement broken"] += broken
        self._later(chance.random() * (1.0 if broken else 0.004), self._act, machine, answer, statement, broken, 0.0)

    def _later(self, seconds: float, what: Callable[..., None], *args: Any) -> None:
        self._loop.call_at(self._loop.now + seconds, what, *args, context=self._loop.on(self._loop.world))

    def _act(
        self,
        machine: Machine,
        answer: "asyncio.Future[Any] | None",
        statement: Callable[[], Any],
        broken: bool,
        waited: float,
    ) -> None:
        if machine.dead:
            return
        try:
            if broken and not _ends(statement):
                raise sqlite3.OperationalError("the connection broke")
            result, error = statement(), None
            if broken:
                raise sqlite3.OperationalError("the connection broke")
        except Exception as raised:  # noqa: BLE001 - as a thread does, for whoever waits
            result, error = None, raised
        if getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY" and waited < LOCKED_SECONDS:
            self._later(0.02, self._act, machine, answer, statement, broken, waited + 0.02)
            return
        if answer is not None and not answer.done():
            answer.set_exception(error) if error is not None else answer.set_result(result)

    def machine_died(self, machine: Machine) -> None:
        """Its connections break: nothing that was not committed stays, and no lock."""
        for connection in self._connections.pop(machine, ()):
            connection.break_off()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """While it lasts aiosqlite connects here."""
        before, aiosqlite.connect = aiosqlite.connect, self.connect  # type: ignore[assignment]
        try:
            yield
        finally:
            aiosqlite.connect = before


def _ends(statement: Any) -> bool:
    """Whether it ends a transaction: a database does that too when the connection of its client breaks."""
    return getattr(getattr(statement, "func", statement), "__name__", "") in ("rollback", "close", "close_and_stop")


class _Statements:
    """Takes what aiosqlite would put into its thread's queue."""

    def __init__(self, server: StatementServer, machine: Machine) -> None:
        self._server = server
        self._machine = machine

    def put_nowait(self, entry: tuple[Any, Callable[[], Any]]) -> None:
        """A statement, and the future that waits for it."""
        self._server.run(self._machine, *entry)
