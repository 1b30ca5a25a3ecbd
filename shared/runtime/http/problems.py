"""Errors over HTTP: `application/problem+json` (RFC 9457) with an `error_type` for programs. Never a stack trace."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from shared.runtime.http.row_problems import EncodingGuess, RowProblem

log = structlog.get_logger(__name__)

KAFKA_DOWN = "Service temporarily unavailable. The message queue is currently down. Please try again later."


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: Where the words of the status differ between versions of Python.
_ERROR_TYPES = {413: "body_too_large", 422: "unprocessable"}
INTERNAL_ERROR = "Something went wrong on our side. It has been logged; please try again."


class ProblemDocument(BaseModel):
    """What the body of every error looks like (RFC 9457), for the API's documentation."""

    type: str = Field(description="A URI that names `error_type`.")
    title: str = Field(description="The words of the HTTP status.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="For a person: what is wrong, and what to do.")
    error_type: str = Field(description="For a program. A type never changes its meaning; new ones may come.")
    errors: list[RowProblem] = Field([], description="What is wrong with a file: the first 1,000 things.")
    errors_total: int = Field(0, description="How many things are wrong with it.")
    encoding_guesses: list[EncodingGuess] = Field([], description="How a file of unknown encoding may be read.")


class Problem(Exception):
    """An answer that is an error. `detail` is for a person and says what to do next."""

    def __init__(
        self,
        status: int,
        error_type: str,
        detail: str,
        *,
        errors: list[RowProblem] | None = None,
        errors_total: int | None = None,
        encoding_guesses: list[EncodingGuess] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.error_type = error_type
        self.detail = detail
        self.errors = errors
        self.errors_total = errors_total
        self.encoding_guesses = encoding_guesses
        self.retry_after = retry_after

    def response(self) -> JSONResponse:
        """The answer, with Retry-After (s) where trying again makes sense."""
        body: dict[str, Any] = {
            "type": f"urn:hospital-bulk:problem:{self.error_type}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "error_type": self.error_type,
        }
        if self.errors is not None:
            body["errors"] = [error.model_dump(mode="json") for error in self.errors]
            body["errors_total"] = self.errors_total or len(self.errors)
        if self.encoding_guesses:
            body["encoding_guesses"] = [guess.model_dump() for guess in self.encoding_guesses]
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else {}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = (
                "ApiKey"  # RFC 9110 wants one; browsers ask nobody for a scheme they do not know
            )
        return JSONResponse(body, self.status, headers, media_type="application/problem+json")


def kafka_down() -> Problem:
    """Kafka cannot be reached: nothing was kept, the same request may be sent again."""
    return Problem(503, "message_queue_unavailable", KAFKA_DOWN, retry_after=5)


def database_down() -> Problem:
    """The service's database cannot be reached."""
    return Problem(
        503,
        "database_unavailable",
        "Service temporarily unavailable. The database is currently down. Please try again later.",
        retry_after=5,
    )


def _allowed_methods(request: Request) -> list[str]:
    """The methods of the path, when routes say so. A path may have several routes, and each knows only its own."""
    routes = request.app.routes
    allowed = [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    if len(allowed) == len(_METHODS):  # the page and the proxy take every method, and refuse some by themselves
        return []
    return ["GET", "HEAD", *allowed[1:]] if "GET" in allowed else allowed


def answer_with_problems(app: FastAPI) -> None:
    """Makes every error of the app a problem document, the unexpected ones too."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        words = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors())
        return Problem(400, "invalid_request", words).response()

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        status = error.status_code
        name = _ERROR_TYPES.get(status) or HTTPStatus(status).phrase.lower().replace(" ", "_")
        answer = Problem(status, name, str(error.detail)).response()
        answer.headers.update(error.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED and (allowed := _allowed_methods(request)):
            answer.headers["Allow"] = ", ".join(allowed)
        return answer

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected_error", path=request.url.path, exc_info=error)
        return Problem(500, "internal_error", INTERNAL_ERROR).response()
