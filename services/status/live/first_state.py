"""How a job is when somebody begins to watch it. However many begin at one moment, the tables are asked once.

Callers that come while a question is under way share the next one. When the database is away they all hear so together.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final

from services.status.live.job_watchers import JobState
from services.status.model.timestamps import Clock
from services.status.queries.job_summaries import summaries
from services.status.queries.read_database import ReadDatabase
from services.status.web.tenant import Tenant
from shared.contract.events import now
from shared.runtime.answer_budget import AnswerBudget

Found = dict[str, JobState]

#: What a question may take at least that has waited for the one before it. That one was answered, so the database is
#: there: a crowd that keeps this process busy is no reason to send its callers away.
_SECOND_QUESTION_SECONDS: Final = 1.0


class _Question:
    """Asks for the jobs of all callers that have come by then, within the budget of the first of them."""

    def __init__(self, budget: AnswerBudget, ask: Callable[["_Question"], Coroutine[None, None, Found]]) -> None:
        self.budget = budget
        self.job_ids: set[str] = set()
        self.answer = asyncio.create_task(ask(self))
        self.answer.add_done_callback(_note_error)


class FirstStates:
    """For each tenant one question that is under way, and one that gathers the callers that come meanwhile."""

    def __init__(self, database: ReadDatabase, clock: Clock = now) -> None:
        self._database = database
        self._clock = clock
        self._gathering: dict[Tenant, _Question] = {}
        self._under_way: dict[Tenant, asyncio.Task[Found]] = {}

    async def state(self, tenant: Tenant, job_id: str, budget: AnswerBudget) -> JobState | None:
        """How the job is; None when the tenant has none of that id, or it is not known yet.

        Raises a 503 problem when the database is away.
        """
        question = self._gathering.get(tenant)
        if question is None:
            before = self._under_way.get(tenant)
            question = _Question(budget, lambda question: self._ask(tenant, question, before))
            self._gathering[tenant] = question
        question.job_ids.add(job_id)
        return (await asyncio.shield(question.answer)).get(job_id)  # one who leaves does not end it for the others

    async def _ask(self, tenant: Tenant, question: _Question, before: "asyncio.Task[Found] | None") -> Found:
        try:
            if before is not None:
                await before
        finally:
            del self._gathering[tenant]
        self._under_way[tenant] = question.answer
        try:
            asked_at = asyncio.get_running_loop().time()
            found = await self._database.read(
                lambda connection: summaries(connection, tenant, question.job_ids, self._clock()),
                max(question.budget.remaining, 0.0 if before is None else _SECOND_QUESTION_SECONDS),
            )
        finally:
            if self._under_way.get(tenant) is question.answer:
                del self._under_way[tenant]
        return {job_id: JobState(summary, asked_at) for job_id, summary in found.items()}


def _note_error(answer: "asyncio.Task[Found]") -> None:
    """Asyncio would log the error of a question that failed after all of its callers had left."""
    if not answer.cancelled():
        answer.exception()
