"""Activation by hand: asks for it on hospital.jobs, and waits until a processor's answer has been projected."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, Row, select

from services.status.commands.command_writer import CommandWriter
from services.status.commands.commands import append
from services.status.commands.preconditions import check_activation
from services.status.model.timestamps import Clock
from services.status.queries import job_queries
from services.status.queries.job_queries import JobRow
from services.status.queries.lookup import JobLookup
from services.status.queries.read_database import ReadDatabase
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.definitions import activations
from services.status.web.tenant import Tenant
from shared.contract.events import BatchActivationRequested, now
from shared.runtime.http.answer_budget import ANSWER_SECONDS, AnswerBudget
from shared.runtime.http.tenants import OPEN_TENANT

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
    """Activates batches on request. `answer_seconds`: how long it waits for a processor's answer."""

    def __init__(
        self,
        database: ReadDatabase,
        lookup: JobLookup,
        writer: CommandWriter,
        change_signal: ChangeSignal,
        answer_seconds: float = 20.0,
        clock: Clock = now,
    ) -> None:
        self._database = database
        self._lookup = lookup
        self._writer = writer
        self._change_signal = change_signal
        self._answer_seconds = answer_seconds
        self._clock = clock

    async def activate(self, tenant: Tenant, batch_id: str, budget: AnswerBudget) -> ActivationOutcome:
        """Asks once and waits for the answer, up to 20 s. The budget is for all that comes before the waiting.

        Raises a problem: 404 no such batch of this tenant, 409 its job still runs, 503 Kafka or the database is down.
        """

        def find(connection: Connection) -> JobRow | None:
            return job_queries.job_of_batch(connection, tenant, batch_id, self._clock())

        job = await self._lookup.batch(batch_id, find, budget)
        if (done := await self._answer(batch_id, None, budget.remaining)) is not None:
            return done
        check_activation(job)
        return await self._wait(batch_id, await self._request(tenant, job, batch_id, budget))

    async def _request(self, tenant: Tenant, job: JobRow, batch_id: str, budget: AnswerBudget) -> str:
        """Asks the processors for it. Returns the request's id."""
        request_id = str(uuid4())
        request = BatchActivationRequested(
            tenant=job.tenant,
            job_id=job.job_id,
            batch_id=batch_id,
            request_id=request_id,
            requested_by=tenant or OPEN_TENANT,
        )
        await append(self._writer, request, budget)
        return request_id

    async def _wait(self, batch_id: str, request_id: str) -> ActivationOutcome:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._answer_seconds
        while loop.time() < deadline:
            await self._change_signal.wait(min(_ASK_AGAIN_SECONDS, deadline - loop.time()))
            if (answer := await self._answer(batch_id, request_id, ANSWER_SECONDS)) is not None:
                return answer
        return Unanswered()

    async def _answer(self, batch_id: str, request_id: str | None, seconds: float) -> Activated | Refused | None:
        """Activated by whichever request; refused only in answer to this one."""
        found = await self._database.read(lambda connection: _answers(connection, batch_id), seconds)
        for answer in found:
            if answer.activated:
                return Activated(answer.message)
        return next((Refused(answer.message) for answer in found if answer.request_id == request_id), None)


def _answers(connection: Connection, batch_id: str) -> list[Row[Any]]:
    return list(connection.execute(select(activations).where(activations.c.batch_id == batch_id)))
