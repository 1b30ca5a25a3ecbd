"""What the routes are handed: the tables, the look-up, whose request it is, a clock, and a budget per request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.status.model.timestamps import Clock
from services.status.queries.lookup import JobLookup
from services.status.queries.read_database import ReadDatabase
from services.status.web.tenant import Tenant
from shared.contract.events import now
from shared.runtime.http.answer_budget import AnswerBudget


async def answer_budget() -> AnswerBudget:
    """A request's budget, for FastAPI: it begins when the request has been read."""
    return AnswerBudget()


@dataclass(frozen=True, slots=True)
class RouteDependencies:
    """`tenant` and `budget` are FastAPI dependencies: each is called once for every request."""

    database: ReadDatabase
    lookup: JobLookup
    tenant: Callable[..., Awaitable[Tenant]]
    clock: Clock = now
    budget: Callable[[], Awaitable[AnswerBudget]] = answer_budget
