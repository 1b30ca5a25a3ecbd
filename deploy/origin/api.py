"""The origin's routes: what it answers for all services. It forwards everything else."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.routing import Route

from deploy.origin.forwarding import BODY_SECONDS, ReverseProxy
from deploy.origin.joint_health import ANSWER_SECONDS, joint_health_routes
from deploy.origin.openapi import Document, merge
from shared.runtime.http.openapi import OPERATIONS_TAG, describe
from shared.runtime.http.problems import Problem, answer_with_problems

DESCRIPTION = """Upload a file of hospitals, and see what became of every row.

1. `POST /hospitals/validate` shows how a file is read and what is wrong with it.
2. `POST /hospitals/bulk` makes a job of it. Send an `Idempotency-Key`, and repeat the request whenever no answer came.
3. `GET /hospitals/status/{job_id}`, or the job's events, until `completed_at` is there.
4. `GET /hospitals/jobs/{job_id}/rows`, or the result files, tell what became of each row.

HEAD is answered wherever GET is. Errors are problem documents (RFC 9457)."""
DOCUMENT_TIMEOUT = aiohttp.ClientTimeout(total=4.0)


def create_app(
    session: aiohttp.ClientSession,
    services: Mapping[str, str],
    health_seconds: float = ANSWER_SECONDS,
    body_seconds: float = BODY_SECONDS,
) -> FastAPI:
    """The origin's app. It closes the session when it ends.

    `services`: the addresses of `ingest`, `status` and `processor`. `health_seconds`: how long `/health` waits for one.
    `body_seconds`: how long a client may be silent before its body is whole.
    """

    @asynccontextmanager
    async def closing_the_session(_: FastAPI) -> AsyncIterator[None]:
        async with session:
            yield

    async def openapi(request: Request) -> JSONResponse:
        return JSONResponse(await _merged_document(request.app, session, services))

    app = FastAPIOffline(
        title="Hospital bulk upload",
        description=DESCRIPTION,
        version="1",
        openapi_tags=[{"name": OPERATIONS_TAG, "description": "Whether all services do their work."}],
        # Swagger UI comes from our own address, so that the page works without the internet,
        # and from under /docs, so that one nginx location covers it.
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs/assets",
        lifespan=closing_the_session,
        # In front of the route that FastAPI adds for the origin's own document.
        routes=[Route("/openapi.json", openapi)],
    )
    answer_with_problems(app)
    app.include_router(joint_health_routes(session, services, health_seconds))
    app.add_api_route("/metrics", _no_metrics_here(services), include_in_schema=False)
    describe(app, keys_in_use=False)
    app.mount("/", ReverseProxy(session, services, body_seconds))
    return app


def _no_metrics_here(services: Mapping[str, str]) -> Any:
    async def metrics() -> None:
        addresses = ", ".join(f"{url}/metrics" for url in services.values())
        raise Problem(404, "not_found", f"Each service has metrics of its own: {addresses}")

    return metrics


async def _merged_document(app: FastAPI, session: aiohttp.ClientSession, services: Mapping[str, str]) -> Document:
    names = ("ingest", "status")
    answers = await asyncio.gather(*(_document(session, services[name]) for name in names))
    documents = {name: answer for name, answer in zip(names, answers, strict=True) if answer is not None}
    missing = [name for name in names if name not in documents]
    if missing:
        detail = f"The documentation needs {' and '.join(missing)}, not reachable at the moment. Please try again soon."
        raise Problem(503, "service_unavailable", detail, retry_after=5)
    return merge(documents, app.openapi())


async def _document(session: aiohttp.ClientSession, url: str) -> Document | None:
    try:
        async with session.get(f"{url}/openapi.json", timeout=DOCUMENT_TIMEOUT, raise_for_status=True) as answer:
            document: Document = await answer.json()
            return document
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
