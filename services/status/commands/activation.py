"""Activation by hand: asks for it on hospital.jobs, and waits until a processor's answer has been projected."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, Row, select

from services.status.queries import job_queries
from services.status.queries.job_queries import JobRow
from services.status.queries.lookup import JobLookup
from services.status.queries.read_database import ReadDatabase
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.definitions import activations
from services.status.web.tenant import Tenant
from shared.contract.events import BatchActivationRequested
from shared.runtime.problems import Problem, kafka_down
from shared.runtime.publisher import KafkaUnavailable, Publisher

_SEND_SECONDS: Final = 1.5
_ASK_AGAIN_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Activated:
    """The directory activated the batch, now or before."""

    message: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The directory refused, or could not be reached after every attempt: its words."""

    message: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nobody has answered in time. The request stands: it will be answered."""


ActivationOutcome = Activated | Refused | Unanswered


class Activation:
    """Activates batches on request."""

    def __init__(
        self,
        database: ReadDatabase,
        lookup: JobLookup,
        publisher: Publisher,
        topic: str,
        change_signal: ChangeSignal,
        patience_seconds: float = 20.0,
    ) -> None:
        self._database = database
        self._lookup = lookup
        self._publisher = publisher
        self._topic = topic
        self._change_signal = change_signal
        self._patience_seconds = patience_seconds

    async def activate(self, tenant: Tenant, batch_id: str) -> ActivationOutcome:
        """Asks once and waits up to 20 s.

        Raises a problem: 404 no such batch of this tenant, 409 its job still runs, 503 Kafka or the database is down.
        """

        def find(connection: Connection) -> JobRow | None:
            return job_queries.job_of_batch(connection, tenant, batch_id)

        job = await self._lookup.batch(batch_id, find)
        if (done := await self._answer(batch_id, None)) is not None:
            return done
        _refuse_while_running(job)
        return await self._ask(job, batch_id)

    async def _ask(self, job: JobRow, batch_id: str) -> ActivationOutcome:
        request_id = str(uuid4())
        request = BatchActivationRequested(
            tenant=job.tenant, job_id=job.job_id, batch_id=batch_id, request_id=request_id
        )
        try:
            await self._publisher.send(self._topic, request, _SEND_SECONDS)
        except KafkaUnavailable as error:
            raise kafka_down() from error
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience_seconds
        while loop.time() < deadline:
            await self._change_signal.wait(min(_ASK_AGAIN_SECONDS, deadline - loop.time()))
            if (answer := await self._answer(batch_id, request_id)) is not None:
                return answer
        return Unanswered()

    async def _answer(self, batch_id: str, request_id: str | None) -> Activated | Refused | None:
        """Activated by whichever request; refused only in answer to this one."""
        found = await self._database.read(lambda connection: _answers(connection, batch_id))
        for answer in found:
            if answer.activated:
                return Activated(answer.message)
        return next((Refused(answer.message) for answer in found if answer.request_id == request_id), None)


def _answers(connection: Connection, batch_id: str) -> list[Row[Any]]:
    return list(connection.execute(select(activations).where(activations.c.batch_id == batch_id)))


def _refuse_while_running(job: JobRow) -> None:
    processed = job.created_hospitals + job.failed_hospitals + job.unprocessed_hospitals
    if processed < job.total_hospitals:
        detail = (
            f"The job still runs: {processed} of {job.total_hospitals} hospitals are processed. "
            "When all were created they are activated by themselves; else try again when it has ended."
        )
        raise Problem(409, "job_running", detail, retry_after=5)
