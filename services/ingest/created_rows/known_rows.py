"""What is known of a tenant's created rows, for an upload: kept in memory, brought up to date before it is used."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from services.ingest.created_rows.chunks import Chunk, tenant_key
from services.ingest.created_rows.index import CreatedFile, CreatedIndex
from services.ingest.created_rows.store import CreatedRowsStore, Progress
from shared.runtime.databases import DatabaseDown
from shared.runtime.timeouts import detach

log = structlog.get_logger(__name__)

#: Most rows in memory. Of a tenant that has created more the newest are known; others are read again when they are
#: needed.
MOST_ROWS: Final = 4_000_000
#: What was read so long ago counts as up to date.
FRESH_SECONDS: Final = 1.0
#: Rows that are not remembered any more leave memory so much later.
_OVERDUE: Final = timedelta(hours=1)
_PAGE_CHUNKS: Final = 128


@dataclass(slots=True)
class _Content:
    """A tenant's rows in memory, and how far they go."""

    index: CreatedIndex = field(default_factory=lambda: CreatedIndex(b""))
    epoch: int = -1
    sequence: int = 0
    oldest: datetime | None = None
    #: The file that was written last, until something is added.
    file: CreatedFile | None = None

    def add(self, chunks: Sequence[Chunk]) -> None:
        self.file = None
        for chunk in chunks:
            self.index.add(chunk)
            self.sequence = chunk.sequence
            self.oldest = min(self.oldest or chunk.last_at, chunk.last_at)


@dataclass(slots=True)
class _Tenant:
    content: _Content = field(default_factory=_Content)
    read_at: float = float("-inf")
    reading: "asyncio.Task[None] | None" = None
    #: Nothing is added while the rows are written to a file.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class KnownRows:
    """The created rows of the tenants that have uploaded lately. `clock`: seconds, never going back."""

    def __init__(
        self,
        store: CreatedRowsStore,
        most_rows: int = MOST_ROWS,
        fresh_seconds: float = FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._most_rows = most_rows
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        #: The one used last at the end.
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()

    def __len__(self) -> int:
        """How many rows are in memory."""
        return sum(len(tenant.content.index) for tenant in self._tenants.values())

    async def of(self, tenant: str, seconds: float) -> CreatedIndex:
        """The tenant's created rows. What cannot be read in so many seconds is not among them. Never raises."""
        return (await self._current(tenant, seconds)).content.index

    async def saved(self, tenant: str, seconds: float, path: Path) -> CreatedFile | CreatedIndex:
        """The same, for another process: in a file, or none when it cannot be written in this time. Never raises."""
        until = self._clock() + seconds
        known = await self._current(tenant, seconds)
        none = CreatedIndex(known.content.index.key)
        if not len(known.content.index):
            return none
        try:
            async with asyncio.timeout(until - self._clock()):
                await known.lock.acquire()
            # It goes on when the upload is cut off: the rows have to stand still until it has ended.
            writing = asyncio.create_task(_written(known, path))
            detach(writing)
            async with asyncio.timeout(until - self._clock()):
                return await asyncio.shield(writing)
        except (OSError, TimeoutError) as error:
            log.warning("created_rows_not_written", tenant=tenant, reason=str(error) or "it took too long")
            return none

    async def _current(self, tenant: str, seconds: float) -> _Tenant:
        known = self._tenants.setdefault(tenant, _Tenant())
        self._tenants.move_to_end(tenant)
        if known.reading is None and self._clock() - known.read_at >= self._fresh_seconds:
            known.reading = asyncio.create_task(self._read(tenant, known))
            detach(known.reading)
        if known.reading:
            await asyncio.wait({known.reading}, timeout=max(0.0, seconds))
        return known

    async def _read(self, tenant: str, known: _Tenant) -> None:
        """Reads what is new. When that fails, what is known already stays."""
        try:
            async with known.lock:
                await self._add_new(tenant, known)
            known.read_at = self._clock()
        except DatabaseDown:
            pass  # it is logged, and whoever asks is told so by what else needs the database
        except Exception:
            log.exception("created_rows_not_read", tenant=tenant)
        finally:
            known.reading = None
        self._forget_others(tenant)

    async def _add_new(self, tenant: str, known: _Tenant) -> None:
        content = known.content
        page = await self._store.page(tenant, content.sequence, _PAGE_CHUNKS)
        if self._is_outdated(content, page.progress):
            start, rows = await self._store.newest(tenant, self._most_rows)
            key = tenant_key(page.progress.secret, tenant)
            content = _Content(CreatedIndex(key, rows), page.progress.epoch, start)
            if known.content.epoch != content.epoch:
                known.content = content  # rows of another Kafka, or none: better the first of these
            page = await self._store.page(tenant, start, _PAGE_CHUNKS)
        while page.chunks:
            await asyncio.to_thread(content.add, page.chunks)
            page = await self._store.page(tenant, content.sequence, _PAGE_CHUNKS)
        known.content = content

    def _is_outdated(self, content: _Content, progress: Progress) -> bool:
        too_old = content.oldest is not None and content.oldest <= self._store.oldest - _OVERDUE
        return content.epoch != progress.epoch or too_old or len(content.index) > self._most_rows * 5 // 4

    def _forget_others(self, tenant: str) -> None:
        while len(self) > self._most_rows and (first := next(iter(self._tenants))) != tenant:
            del self._tenants[first]


async def _written(known: _Tenant, path: Path) -> CreatedFile:
    """Writes the rows, or takes the file that another upload has of them. Unlocks them at the end."""
    try:
        content = known.content
        content.file = await asyncio.to_thread(_file_of, content, path)
        return content.file
    finally:
        known.lock.release()


def _file_of(content: _Content, path: Path) -> CreatedFile:
    if content.file:
        with suppress(OSError):  # the other upload has ended, or there are no links here
            path.hardlink_to(content.file.path)
            return replace(content.file, path=path)
    try:
        return content.index.save(path)
    except OSError:
        path.unlink(missing_ok=True)  # what there is of it takes room that others need
        raise
