"""A result as a created row, as far as it is one. Others are left to those who need them."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

import msgspec
from aiokafka import ConsumerRecord

from services.ingest.created_rows.chunks import HashedRow, tenant_key
from services.ingest.row_matching.duplicates import RowHash
from shared.contract.cloud_events import header
from shared.contract.events import RowCreated

_JOB_ID_BYTES: Final = 36
_MOST_TENANT_CHARS: Final = 64
_LARGEST_ROW: Final = 2**32 - 1


class _RowCreated(msgspec.Struct, gc=False):
    """What is read of a RowCreated. Version 0.1.0 wrote no address."""

    occurred_at: datetime
    tenant: str
    job_id: str
    row: int
    name: str
    address: str | None = None
    phone: str | None = None


class RowDecoder:
    """Hashes created rows. `secret`: the key of all hashes."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._decode = msgspec.json.Decoder(_RowCreated).decode
        self._hashes: dict[str, Callable[[str, str, str | None], int]] = {}

    def rows(self, records: Iterable[ConsumerRecord], oldest: datetime) -> list[HashedRow]:
        """The rows that were created after `oldest`, in the order of their records."""
        return [row for record in records if (row := self._row(record)) and row.created_at > oldest]

    def _row(self, record: ConsumerRecord) -> HashedRow | None:
        if record.value is None or header(record.headers, "ce_type") != RowCreated.__name__:
            return None
        try:
            found = self._decode(record.value)
            if found.address is None or not _can_be_kept(found):
                return None
            number = self._hash(found.tenant)(found.name.strip(), found.address.strip(), found.phone)
        except (msgspec.MsgspecError, UnicodeError):
            return None  # status makes it a dead letter
        return HashedRow(found.tenant, found.job_id, found.row, number, found.occurred_at)

    def _hash(self, tenant: str) -> Callable[[str, str, str | None], int]:
        if tenant not in self._hashes:
            self._hashes[tenant] = RowHash(tenant_key(self._secret, tenant)).of
        return self._hashes[tenant]


def _can_be_kept(found: _RowCreated) -> bool:
    """Whether it has a job, a row and a tenant such as we write them."""
    return (
        found.job_id.isascii()
        and found.job_id.isprintable()
        and len(found.job_id) == _JOB_ID_BYTES
        and 0 <= found.row <= _LARGEST_ROW
        and found.occurred_at.tzinfo is not None
        and len(found.tenant) <= _MOST_TENANT_CHARS
        and "\0" not in found.tenant
    )
