"""Errors over HTTP: `application/problem+json` (RFC 9457) with an `error_type` for programs. Never a stack trace."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from shared.runtime.http.row_problems import EncodingGuess, RowProblem

log = structlog.get_logger(__name__)

KAFKA_DOWN = "Service temporarily unavailable. The message queue is currently down. Please try again later."


class ProblemDocument(BaseModel):
    """What the body of every error looks like, for the API's documentation."""

    type: str
    title: str
    status: int
    detail: str
    error_type: str
    #: What is wrong with a file: the first 1,000 things.
    errors: list[RowProblem] | None = None
    #: How many things are wrong with it.
    errors_total: int | None = None
    #: Of a file whose encoding is not known.
    encoding_guesses: list[EncodingGuess] | None = None


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
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else None
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
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        name = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        answer = Problem(error.status_code, name, str(error.detail)).response()
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected_error", path=request.url.path, exc_info=error)
        detail = "Something went wrong on our side. It has been logged; please try again."
        return Problem(500, "internal_error", detail).response()
