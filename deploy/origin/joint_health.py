"""The health of all services as one answer."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

import aiohttp
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from shared.runtime.health import Dependency, Readiness

#: A service gives each of its own dependencies 2 s; its answer should name them rather than be cut short.
ANSWER_TIMEOUT = aiohttp.ClientTimeout(total=4.0)


def joint_health_routes(session: aiohttp.ClientSession, services: Mapping[str, str]) -> APIRouter:
    """`/health` and `/health/ready` of every service, each named; 503 when one is missing."""
    router = APIRouter(tags=["operations"])

    @router.get("/health", response_model=Readiness, responses={503: {"model": Readiness}})
    async def health() -> JSONResponse:
        """Answers 200 while every service is of use, 503 when one is down or has to be restarted."""
        return await _joined(session, services, "/health", ("alive", "not_alive"))

    @router.get("/health/ready", response_model=Readiness, responses={503: {"model": Readiness}})
    async def ready() -> JSONResponse:
        """Answers 200 when every service can do its work, else 503; each is named with what it lacks."""
        return await _joined(session, services, "/health/ready", ("ready", "not_ready"))

    return router


async def _joined(
    session: aiohttp.ClientSession, services: Mapping[str, str], path: str, words: tuple[str, str]
) -> JSONResponse:
    answers = await asyncio.gather(*(_ask(session, url + path) for url in services.values()))
    well = all(answer.status == "ok" for answer in answers)
    body = Readiness(status=words[not well], dependencies=dict(zip(services, answers, strict=True)))
    return JSONResponse(body.model_dump(exclude_none=True), 200 if well else 503)


async def _ask(session: aiohttp.ClientSession, url: str) -> Dependency:
    try:
        async with session.get(url, timeout=ANSWER_TIMEOUT) as answer:
            if answer.status == HTTPStatus.OK:
                return Dependency(status="ok")
            return Dependency(status="unavailable", detail=_lacking(await answer.read(), answer.status))
    except (aiohttp.ClientError, TimeoutError) as error:
        return Dependency(status="unavailable", detail=_reason(error))


class _Unwell(BaseModel):
    """What a service that is not well says: what it lacks, or why it is stuck."""

    dependencies: dict[str, Dependency] = {}
    detail: str | None = None


def _lacking(body: bytes, status: int) -> str:
    try:
        said = _Unwell.model_validate_json(body)
    except ValidationError:
        return f"answered {status}"
    missing = {name: found for name, found in said.dependencies.items() if found.status != "ok"}
    named = "; ".join(f"{name}: {found.detail or found.status}" for name, found in missing.items())
    return named or said.detail or f"answered {status}"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER_TIMEOUT.total:g} s"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "not running, or not reachable"
    return "the answer could not be read"
