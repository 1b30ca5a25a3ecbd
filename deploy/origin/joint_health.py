"""The health of all services in one response."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from shared.runtime.http.health import Dependency, Readiness

#: Longer than the 2 s that a service gives each of its own dependencies: its answer should name them.
ANSWER_SECONDS: Final = 4.0


def joint_health_routes(
    session: aiohttp.ClientSession, services: Mapping[str, str], seconds: float = ANSWER_SECONDS
) -> APIRouter:
    """`/health` and `/health/ready` for all services together: 200 when all are well, else 503.

    `seconds`: how long each service may take to answer.
    """
    router = APIRouter(tags=["operations"])
    services_health = _ServicesHealth(session, services, seconds)

    lacking: dict[int | str, dict[str, Any]] = {503: {"model": Readiness, "description": "A service is missing."}}

    @router.get("/health", operation_id="health", response_model=Readiness, responses=lacking)
    async def health() -> JSONResponse:
        """Answers 200 while every service is of use, 503 when one is down or has to be restarted."""
        return await services_health.combined("/health", ("alive", "not_alive"))

    @router.get("/health/ready", operation_id="readiness", response_model=Readiness, responses=lacking)
    async def ready() -> JSONResponse:
        """Answers 200 when every service can do its work, else 503; each is named with what it lacks."""
        return await services_health.combined("/health/ready", ("ready", "not_ready"))

    # Anything else that is asked of these paths would be forwarded to status.
    for path, answer in (("/health", health), ("/health/ready", ready)):
        router.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)
    return router


class _ServicesHealth:
    def __init__(self, session: aiohttp.ClientSession, services: Mapping[str, str], seconds: float) -> None:
        self._session = session
        self._services = services
        self._seconds = seconds

    async def combined(self, path: str, words: tuple[str, str]) -> JSONResponse:
        """`words`: the status when all are well, and when one is not."""
        answers = await asyncio.gather(*(self._ask(url + path) for url in self._services.values()))
        well = all(answer.status == "ok" for answer in answers)
        body = Readiness(status=words[not well], dependencies=dict(zip(self._services, answers, strict=True)))
        return JSONResponse(body.model_dump(exclude_none=True), 200 if well else 503)

    async def _ask(self, url: str) -> Dependency:
        try:
            async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=self._seconds)) as answer:
                if answer.status == HTTPStatus.OK:
                    return Dependency(status="ok")
                detail = _missing_dependencies(await answer.read(), answer.status)
                return Dependency(status="unavailable", detail=detail)
        except TimeoutError:
            return Dependency(status="unavailable", detail=f"no answer within {self._seconds:g} s")
        except aiohttp.ClientError as error:
            return Dependency(status="unavailable", detail=_reason(error))


class _UnhealthyAnswer(BaseModel):
    """The members of a service's 503 that say why: its dependencies, or a detail."""

    dependencies: dict[str, Dependency] = {}
    detail: str | None = None


def _missing_dependencies(body: bytes, status: int) -> str:
    try:
        said = _UnhealthyAnswer.model_validate_json(body)
    except ValidationError:
        return f"answered {status}"
    missing = {name: found for name, found in said.dependencies.items() if found.status != "ok"}
    named = "; ".join(f"{name}: {found.detail or found.status}" for name, found in missing.items())
    return named or said.detail or f"answered {status}"


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return "not running, or not reachable"
    return "the answer could not be read"
