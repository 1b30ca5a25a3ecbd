"""Event streams: a job's progress as Server-Sent Events.

event: progress   the job has changed; it still runs
event: finished   its final state; the stream ends. Close then: a browser's EventSource would come back by itself
data:             the status, without `batch_ids` and `result`
id:               names the state. A reader who comes back with it as `Last-Event-ID`, to any replica at any time,
                  gets an event at once if the state is another one by then
: ping            every 15 s, so that no proxy takes the connection for dead
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Header
from sqlalchemy import Connection
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from services.status.live.first_state import FirstStates
from services.status.live.job_watchers import JobState, JobWatchers
from services.status.queries.job_summaries import summaries
from services.status.queries.route_dependencies import RouteDependencies
from services.status.web.openapi import EVERYWHERE, JobId, problems
from services.status.web.tenant import Tenant
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.http.openapi import CACHE_CONTROL, Documented

log = structlog.get_logger(__name__)

#: For streams to end by themselves when the service stops.
_GRACE_SECONDS: Final = 2.0
#: After how long a browser comes back when the stream broke.
_RETRY_MS: Final = 2_000

#: One event. `itemSchema` is OpenAPI 3.2's; readers of 3.1 take the stream for a text.
_EVENT: Final = {
    "type": "object",
    "required": ["event", "id", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["progress", "finished"]},
        "id": {"type": "string"},
        "retry": {"type": "integer"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/JobSummary"},
        },
    },
}
_STREAM: Final[Documented] = {
    200: {
        "description": "`event: progress` whenever the job has changed, `event: finished` with its final state at the "
        "end. `data` is the status without `batch_ids` and `result`; send the last `id` as `Last-Event-ID` to go on.",
        "content": {"text/event-stream": {"itemSchema": _EVENT}},
        "headers": CACHE_CONTROL,
    }
}


def event_stream_routes(watchers: JobWatchers, first_states: FirstStates, dependencies: RouteDependencies) -> APIRouter:
    """GET …/jobs/{job_id}/events."""
    router = APIRouter(prefix="/api/v1/hospitals/jobs", tags=["jobs"], responses=EVERYWHERE)
    CallerTenant = Annotated[Tenant, Depends(dependencies.tenant)]  # noqa: N806 - a type
    Budget = Annotated[AnswerBudget, Depends(dependencies.budget)]  # noqa: N806 - a type

    @router.get(
        "/{job_id}/events",
        operation_id="job_events",
        summary="Progress as it happens",
        response_class=EventSourceResponse,
        responses=_STREAM | problems(_404="No such job."),
    )
    async def events(
        job_id: JobId,
        tenant: CallerTenant,
        budget: Budget,
        last_event_id: Annotated[str | None, Header(description="The last `id` that was received.")] = None,
    ) -> EventSourceResponse:
        """Server-Sent Events. They end with the final state."""

        loop = asyncio.get_running_loop()

        def find(connection: Connection) -> JobState | None:
            asked_at = loop.time()
            found = summaries(connection, tenant, [job_id], dependencies.clock())
            return JobState(found[job_id], asked_at) if job_id in found else None

        first = await dependencies.lookup.job(job_id, find, budget, first=lambda: first_states.state(tenant, job_id))
        return EventStream(watchers, first, last_event_id)

    return router


class EventStream(EventSourceResponse):
    """One reader's stream."""

    def __init__(self, watchers: JobWatchers, first: JobState, seen: str | None) -> None:
        super().__init__(
            _events(watchers, first, seen),
            ping=watchers.timings.ping,
            send_timeout=watchers.timings.slow_reader,
            shutdown_event=watchers.stopping,
            shutdown_grace_period=_GRACE_SECONDS,
        )
        self._job_id = first.summary.job_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Returns without the end of the answer when the reader takes nothing: the server then hangs up."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("slow_reader_dropped", job_id=self._job_id)


async def _events(watchers: JobWatchers, first: JobState, seen: str | None) -> AsyncIterator[ServerSentEvent]:
    async with aclosing(watchers.follow(first, seen)) as states:
        async for state in states:
            name = "finished" if state.final else "progress"
            yield ServerSentEvent(state.json, event=name, id=state.id, retry=_RETRY_MS, sep="\n")
