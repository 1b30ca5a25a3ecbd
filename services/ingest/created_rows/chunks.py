"""Created rows as they are kept: in chunks of one job, twelve bytes a row. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final, NamedTuple

#: So many rows are kept in one chunk, which is written again whenever some are added.
CHUNK_ROWS: Final = 1_024
#: A chunk is deleted when its last row is too old: its first should not be much older.
CHUNK_AGE: Final = timedelta(days=1)
HASH_BYTES: Final = 8
ROW_BYTES: Final = 4


class HashedRow(NamedTuple):
    """A row that became a hospital, by the hash of that."""

    tenant: str
    job_id: str
    row: int
    hash: int
    created_at: datetime


@dataclass(slots=True)
class Chunk:
    """Some created rows of one job, in the order in which they were created.

    `hashes` has 8 bytes of each, `rows` 4, both little-endian. `sequence`: of the change that wrote it last.
    """

    tenant: str
    job_id: str
    part: int
    first_at: datetime
    last_at: datetime
    hashes: bytearray = field(default_factory=bytearray)
    rows: bytearray = field(default_factory=bytearray)
    sequence: int = 0

    @property
    def size(self) -> int:
        """How many rows it has."""
        return len(self.rows) // ROW_BYTES

    def takes(self, row: HashedRow) -> bool:
        """Whether there is room for it, and it is of the same tenant and not of another day."""
        is_near = abs(row.created_at - self.first_at) < CHUNK_AGE and row.tenant == self.tenant
        return is_near and len(self.rows) < CHUNK_ROWS * ROW_BYTES

    def add(self, row: HashedRow) -> None:
        """Adds a row."""
        self.hashes += row.hash.to_bytes(HASH_BYTES, "little")
        self.rows += row.row.to_bytes(ROW_BYTES, "little")
        self.last_at = max(self.last_at, row.created_at)


def add_rows(rows: Iterable[HashedRow], last_chunks: Iterable[Chunk]) -> list[Chunk]:
    """Adds rows to the last chunk of their jobs, or to new ones. Returns the chunks that are new or have changed."""
    last = {chunk.job_id: chunk for chunk in last_chunks}
    changed: dict[tuple[str, int], Chunk] = {}
    for row in rows:
        chunk = last.get(row.job_id)
        if chunk is None or not chunk.takes(row):
            part = chunk.part + 1 if chunk else 0
            chunk = last[row.job_id] = Chunk(row.tenant, row.job_id, part, row.created_at, row.created_at)
        chunk.add(row)
        changed[chunk.job_id, chunk.part] = chunk
    return list(changed.values())


def tenant_key(secret: bytes, tenant: str) -> bytes:
    """The key of a tenant's hashes: those of two tenants cannot be compared."""
    return blake2b(tenant.encode(), key=secret, digest_size=32).digest()
