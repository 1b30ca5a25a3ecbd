"""Settling abandoned uploads, one after the other."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.ingest.keys.lease import Lease
from services.ingest.keys.recovery import NotSettled, Recovery
from services.ingest.keys.reservations import KeyedRequest, Reservation
from services.ingest.publication.job_transaction import NotPublished
from shared.contract.events import now
from shared.runtime.databases import DatabaseDown


def reservation(job_id: str) -> Reservation:
    """One that was abandoned."""
    return Reservation(KeyedRequest("north", job_id, "abc"), job_id, "ab" * 32, "a.csv", 0, 0, b"{}", now())


class Keys:
    """Reservations of which three are abandoned; renewing fails."""

    def __init__(self) -> None:
        self.renewals: list[Exception] = []
        self.renewed = asyncio.Event()

    async def delete_expired(self) -> None:
        """There are none."""

    async def abandoned(self) -> list[Reservation]:
        """Three."""
        return [reservation(job_id) for job_id in ("a", "b", "c")]

    async def renew(self, _: str) -> None:
        """Fails as often as it is told to."""
        if self.renewals:
            raise self.renewals.pop()
        self.renewed.set()


class FailingRecovery(Recovery):
    """Settles every reservation but the first two."""

    def __init__(self, error: Exception) -> None:
        keys: Any = Keys()
        super().__init__(keys, keys, keys)
        self._errors = [error, error]
        self.settled: list[str] = []

    async def settle(self, reservation: Reservation, _: object) -> None:
        """Fails twice, then remembers the job."""
        if self._errors:
            raise self._errors.pop()
        self.settled.append(reservation.job_id)


@pytest.mark.parametrize("error", [NotSettled(), NotPublished(), ValueError("a bug"), AssertionError()], ids=repr)
async def test_a_reservation_that_cannot_be_settled_keeps_no_other_waiting(error):
    """Whatever is wrong with it: it is said, and the next sweep tries again."""
    recovery = FailingRecovery(error)

    with capture_logs() as logs:
        await recovery.sweep_once()

    assert recovery.settled == ["c"]
    assert [entry["job_id"] for entry in logs] == ["a", "b"]


async def test_without_a_database_the_sweep_is_put_off():
    """There is nothing to read the next one from."""
    with pytest.raises(DatabaseDown):
        await FailingRecovery(DatabaseDown("no answer")).sweep_once()


@pytest.mark.parametrize("error", [DatabaseDown("no answer"), ValueError("a bug")], ids=repr)
async def test_a_lease_is_renewed_again_after_a_failure(error):
    """Else a long upload would lose its key, and nobody would know why."""
    keys: Any = Keys()
    keys.renewals = [error, error]

    with capture_logs() as logs:
        async with Lease(keys, reservation("a"), 0.001).renewed():
            await asyncio.wait_for(keys.renewed.wait(), 5)

    assert [entry["job_id"] for entry in logs] == ["a", "a"]
