"""How a job is when somebody begins to watch it. However many begin at one moment, the tables are asked once.

Callers that come while a question is under way share the next one. When the database is away they all hear so together.
"""

import asyncio
from collections.abc import Callable, Coroutine

from services.status.live.job_watchers import JobState
from services.status.model.timestamps import Clock
from services.status.queries.job_summaries import summaries
from services.status.queries.read_database import ReadDatabase
from services.status.web.tenant import Tenant
from shared.contract.events import now
from shared.runtime.http.answer_budget import ANSWER_SECONDS

Found = dict[str, JobState]


class _Question:
    def __init__(self, ask: Callable[["_Question"], Coroutine[None, None, Found]]) -> None:
        self.job_ids: set[str] = set()
        self.answer = asyncio.create_task(ask(self))
        self.answer.add_done_callback(_note_error)


class FirstStates:
    """For each tenant one question that is under way, and one that gathers the callers that come meanwhile.

    `seconds`: what each question may take, from the moment when it is asked. It is not what the budgets of its callers
    have left: they share it, and each began at another time. The least of them would send away all the others, and a
    crowd that keeps this process busy uses up all of them. So an answer may come later than 2 s where a process is that
    busy, or where the database goes away between two questions. A question that is under way when it goes away, and
    each that comes afterwards, is answered in time: at the latest after `seconds`.
    """

    def __init__(self, database: ReadDatabase, clock: Clock = now, seconds: float = ANSWER_SECONDS) -> None:
        self._database = database
        self._clock = clock
        self._seconds = seconds
        self._gathering: dict[Tenant, _Question] = {}
        self._under_way: dict[Tenant, asyncio.Task[Found]] = {}

    async def state(self, tenant: Tenant, job_id: str) -> JobState | None:
        """How the job is; None when the tenant has none of that id, or it is not known yet.

        Raises a 503 problem when the database is away: at once where the question before has found that out.
        """
        question = self._gathering.get(tenant)
        if question is None:
            before = self._under_way.get(tenant)
            question = self._gathering[tenant] = _Question(lambda question: self._ask(tenant, question, before))
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
                lambda connection: summaries(connection, tenant, question.job_ids, self._clock()), self._seconds
            )
        finally:
            if self._under_way.get(tenant) is question.answer:
                del self._under_way[tenant]
        return {job_id: JobState(summary, asked_at) for job_id, summary in found.items()}


def _note_error(answer: "asyncio.Task[Found]") -> None:
    """Asyncio would log the error of a question that failed after all of its callers had left."""
    if not answer.cancelled():
        answer.exception()
