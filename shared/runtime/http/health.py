"""`/health` (alive), `/health/ready` (each dependency by name, 503 if one is missing) and `/metrics` (Prometheus)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from shared.runtime.timeouts import run_with_timeout

#: Returns when the dependency is usable, words about it if it has any; raises with a reason when it is not.
Check = Callable[[], Awaitable[object]]
CHECK_TIMEOUT_SECONDS = 2.0


class Dependency(BaseModel):
    """One dependency: `ok`, perhaps with words about it, or `unavailable` with the reason."""

    status: str
    detail: str | None = None


class Aliveness(BaseModel):
    """`alive`, or `stuck` with the reason."""

    status: str
    detail: str | None = None


class Readiness(BaseModel):
    """Whether the service can do its work, and what it lacks."""

    status: str
    dependencies: dict[str, Dependency]


def health_routes(checks: Mapping[str, Check], alive: Check | None = None) -> APIRouter:
    """The three routes. `alive` raises when only a restart can help."""
    router = APIRouter(tags=["operations"])
    stuck: dict[int | str, dict[str, Any]] = {503: {"model": Aliveness, "description": "It has to be restarted."}}
    lacking: dict[int | str, dict[str, Any]] = {503: {"model": Readiness, "description": "A dependency is missing."}}

    @router.get("/health", operation_id="health", response_model=Aliveness, responses=stuck)
    async def health() -> JSONResponse:
        """Answers 200 while the process is of use, 503 when it has to be restarted."""
        found = await _examine(alive) if alive else Dependency(status="ok")
        if found.status == "ok":
            return JSONResponse({"status": "alive"})
        return JSONResponse({"status": "stuck", "detail": found.detail}, 503)

    @router.get("/health/ready", operation_id="readiness", response_model=Readiness, responses=lacking)
    async def ready() -> JSONResponse:
        """Answers 200 when every dependency is usable, else 503; each is named."""
        answers = await asyncio.gather(*(_examine(check) for check in checks.values()))
        dependencies = dict(zip(checks, answers, strict=True))
        well = all(answer.status == "ok" for answer in answers)
        body = Readiness(status="ready" if well else "not_ready", dependencies=dependencies)
        return JSONResponse(body.model_dump(exclude_none=True), 200 if well else 503)

    @router.get("/metrics", operation_id="metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


async def _examine(check: Check) -> Dependency:
    try:
        answer = await run_with_timeout(CHECK_TIMEOUT_SECONDS, _asked(check))
    except TimeoutError:
        return Dependency(status="unavailable", detail=f"no answer within {CHECK_TIMEOUT_SECONDS:g} s")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a dependency is what readiness reports
        return Dependency(status="unavailable", detail=str(error) or type(error).__name__)
    return Dependency(status="ok", detail=answer if isinstance(answer, str) else None)


async def _asked(check: Check) -> object:
    return await check()
