"""The hospitals that the sandbox directory holds, in memory and in the order of their ids."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any


@dataclass(frozen=True, slots=True)
class HospitalBody:
    """What a client sends to create or replace a hospital."""

    name: str
    address: str
    phone: str | None = None
    creation_batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class Hospital:
    """One hospital as the directory answers it; ``created_at`` is ISO 8601 in UTC."""

    id: int
    name: str
    address: str
    phone: str | None
    creation_batch_id: str | None
    active: bool
    created_at: str

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class Hospitals:
    """Creates, finds, replaces, deletes and activates. Like the public directories it is not idempotent:
    the same body twice makes two hospitals."""

    def __init__(self) -> None:
        self._by_id: dict[int, Hospital] = {}
        self._ids_of_batch: dict[str, dict[int, None]] = {}
        self._ids = count(1)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Hospital]:
        return iter(self._by_id.values())

    def create(self, body: HospitalBody) -> Hospital:
        """A hospital of a batch stays inactive until its batch is activated; one without is active at once."""
        batch = body.creation_batch_id
        now = datetime.now(UTC).isoformat()
        hospital = Hospital(next(self._ids), body.name, body.address, body.phone, batch, batch is None, now)
        self._by_id[hospital.id] = hospital
        if batch is not None:
            self._ids_of_batch.setdefault(batch, {})[hospital.id] = None
        return hospital

    def find(self, hospital_id: int) -> Hospital | None:
        return self._by_id.get(hospital_id)

    def replace(self, hospital_id: int, body: HospitalBody) -> Hospital | None:
        """Changes name, address and phone; batch, activity and creation time stay. None: no such hospital."""
        found = self._by_id.get(hospital_id)
        if found is None:
            return None
        changed = replace(found, name=body.name, address=body.address, phone=body.phone)
        self._by_id[hospital_id] = changed
        return changed

    def delete(self, hospital_id: int) -> bool:
        """False: no such hospital. A batch is forgotten with its last hospital."""
        gone = self._by_id.pop(hospital_id, None)
        if gone is not None and gone.creation_batch_id is not None:
            ids = self._ids_of_batch[gone.creation_batch_id]
            del ids[hospital_id]
            if not ids:
                del self._ids_of_batch[gone.creation_batch_id]
        return gone is not None

    def of_batch(self, batch_id: str) -> list[Hospital]:
        """In the order of creation; empty when the batch is unknown."""
        return [self._by_id[hospital_id] for hospital_id in self._ids_of_batch.get(batch_id, ())]

    def delete_batch(self, batch_id: str) -> int:
        """How many hospitals went; 0 when the batch is unknown."""
        ids = self._ids_of_batch.pop(batch_id, {})
        for hospital_id in ids:
            del self._by_id[hospital_id]
        return len(ids)

    def activate_batch(self, batch_id: str) -> int | None:
        """How many hospitals the batch has, all active now; None when the batch is unknown."""
        ids = self._ids_of_batch.get(batch_id)
        if ids is None:
            return None
        for hospital_id in ids:
            self._by_id[hospital_id] = replace(self._by_id[hospital_id], active=True)
        return len(ids)

    def newest(self, limit: int) -> list[Hospital]:
        return list(islice(reversed(self._by_id.values()), limit))

    def newest_batches(self, limit: int) -> list[dict[str, Any]]:
        """``{batch_id, total, active}`` of the batches first seen last."""
        return [self._batch_counts(batch_id) for batch_id in islice(reversed(self._ids_of_batch), limit)]

    def batches(self) -> int:
        return len(self._ids_of_batch)

    def clear(self) -> None:
        """Holds nothing afterwards; ids go on rising, so an old id is never given again."""
        self._by_id.clear()
        self._ids_of_batch.clear()

    def _batch_counts(self, batch_id: str) -> dict[str, Any]:
        hospitals = self.of_batch(batch_id)
        return {"batch_id": batch_id, "total": len(hospitals), "active": sum(h.active for h in hospitals)}
