"""Gives everybody who watches a job its new state as soon as it changes.

One query answers for all watchers of all jobs. It is made when this replica's projection has moved, and once a second,
since another replica's may have. Nothing is queued: a watcher gets the newest state, or waits for the next one.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import cached_property

import anyio
import structlog

from services.status.metrics import WATCHERS
from services.status.model.job_state import FINAL
from services.status.model.timestamps import Clock
from services.status.queries.job_summaries import summaries
from services.status.queries.read_database import ReadDatabase
from services.status.queries.schemas import JobSummary
from services.status.tables.change_signal import ChangeSignal
from shared.contract.events import now
from shared.runtime.http.answer_budget import ANSWER_SECONDS
from shared.runtime.http.problems import Problem

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LiveTimings:
    """In seconds."""

    #: The tables are asked again after this time, also when this replica has projected nothing.
    poll: float = 1.0
    #: Between two queries: people see at most four states a second, however fast the projection is.
    pause: float = 0.25
    #: A comment is sent this often, so that no proxy takes the connection for dead.
    ping: float = 15.0
    #: A reader who takes nothing for so long is cut off, and may come back.
    slow_reader: float = 30.0


@dataclass(frozen=True)
class JobState:
    """How a job was at a moment."""

    summary: JobSummary
    #: When the tables were asked, by the loop's clock. Of two states the one that was asked for later is the newer.
    asked_at: float

    @property
    def final(self) -> bool:
        """Whether nothing comes after it, unless somebody retries."""
        return self.summary.status in FINAL

    @cached_property
    def id(self) -> str:
        """Made of what it says, so that every replica, at any time, calls the same state the same.

        Estimate and duration are left out: they creep while nothing happens.
        """
        shown = self.summary.model_dump_json(exclude={"eta_seconds", "active_seconds"})
        return f"{self.summary.processed_hospitals}-{hashlib.blake2s(shown.encode(), digest_size=8).hexdigest()}"

    @cached_property
    def json(self) -> str:
        """What the status says, without `batch_ids` and `result`."""
        return self.summary.model_dump_json()


class _Watcher:
    """One reader: holds the newest state that it has not been given."""

    def __init__(self) -> None:
        self._state: JobState | None = None
        self._news = asyncio.Event()

    def update(self, state: JobState | None) -> None:
        """There is a newer state; None: there will be no more."""
        self._state = state
        self._news.set()

    async def next(self) -> JobState | None:
        """The newest state, None after the last one."""
        await self._news.wait()
        self._news.clear()
        return self._state


class JobWatchers:
    """The jobs that are watched, and by whom."""

    def __init__(
        self,
        database: ReadDatabase,
        change_signal: ChangeSignal,
        timings: LiveTimings = LiveTimings(),
        clock: Clock = now,
    ) -> None:
        self._database = database
        self._change_signal = change_signal
        self.timings = timings
        self._clock = clock
        self._watchers: defaultdict[str, set[_Watcher]] = defaultdict(set)
        #: Set when the service stops: every stream ends at once, and its reader comes back to another replica.
        self.stopping = anyio.Event()

    async def run(self) -> None:
        """Keeps all watchers up to date until cancelled."""
        ending = asyncio.create_task(self._end_when_stopping())
        try:
            while True:
                await self._change_signal.wait(self.timings.poll)
                try:
                    await self.refresh()
                except Exception as error:  # a fault of ours must not end all streams in silence
                    log.error("job_watchers_fault", exc_info=error)
                await asyncio.sleep(self.timings.pause)
        finally:
            ending.cancel()

    async def refresh(self) -> None:
        """Asks the tables once about every job that is watched, and gives each watcher its job's state."""
        asked, asked_at = list(self._watchers), asyncio.get_running_loop().time()
        if not asked:
            return
        try:
            found = await self._database.read(
                lambda connection: summaries(connection, None, asked, self._clock()), ANSWER_SECONDS
            )
        except Problem:
            return  # it has been logged; the streams stay open, and go on when the database is back
        for job_id in asked:
            state = JobState(found[job_id], asked_at) if job_id in found else None
            for watcher in self._watchers.get(job_id, ()):
                watcher.update(state)

    async def follow(self, first: JobState, seen: str | None) -> AsyncGenerator[JobState, None]:
        """The job's states from the first on, without the one that was `seen`; the final one always, and last."""
        newest = first
        watcher = _Watcher()
        self._enter(first.summary.job_id, watcher)
        try:
            while True:
                if newest.final or newest.id != seen:
                    yield newest
                    seen = newest.id
                if newest.final or self.stopping.is_set():
                    return
                state = await watcher.next()
                if state is None:
                    return
                if state.asked_at > newest.asked_at:
                    newest = state
        finally:
            self._leave(first.summary.job_id, watcher)

    def _enter(self, job_id: str, watcher: _Watcher) -> None:
        self._watchers[job_id].add(watcher)
        WATCHERS.inc()

    def _leave(self, job_id: str, watcher: _Watcher) -> None:
        self._watchers[job_id].discard(watcher)
        if not self._watchers[job_id]:
            del self._watchers[job_id]
        WATCHERS.dec()

    async def _end_when_stopping(self) -> None:
        await self.stopping.wait()
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.update(None)
