"""An answer over HTTP, or its failure, in our own terms. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import httpx
from pydantic import ValidationError

from client.errors import Busy, NeverSent, NoAnswer, NotUnderstood, Refused, Setback
from client.schemas import Document, Problem

D = TypeVar("D", bound=Document)

#: Answers after which the same request may succeed.
_PASSING: Final = frozenset({408, 425, 429, 500, 503, 504})
_BAD_GATEWAY: Final = 502


def understood(answer: httpx.Response, kind: type[D]) -> D:
    """The document in an answer that has been read. Raises Refused, Busy or NotUnderstood."""
    if not answer.is_success:
        raise setback(answer)
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError as error:
        raise _something_else(answer) from error


def setback(answer: httpx.Response) -> Setback:
    """What an answer that is no success means. Its body has been read."""
    problem = _problem(answer)
    if problem is None and (answer.is_redirect or answer.is_client_error) and not _passes(answer, Problem()):
        return _something_else(answer)
    problem = problem or Problem()
    if not _passes(answer, problem):
        return Refused(answer.status_code, problem)
    words = problem.detail or f"The service has no time at the moment (HTTP status {answer.status_code})."
    return Busy(words, _retry_after(answer), problem.error_type or "busy")


def _passes(answer: httpx.Response, problem: Problem) -> bool:
    if answer.status_code == _BAD_GATEWAY:
        return problem.error_type is None  # a proxy's own; the service says so of the directory, and means it
    return answer.status_code in _PASSING or problem.error_type == "in_progress"


def _problem(answer: httpx.Response) -> Problem | None:
    try:
        return Problem.model_validate_json(answer.content)
    except ValidationError:
        return None


def _retry_after(answer: httpx.Response) -> float | None:
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def _something_else(answer: httpx.Response) -> NotUnderstood:
    where = answer.request.url.copy_with(query=None)
    return NotUnderstood(
        f"{where} gave an answer (HTTP status {answer.status_code}) that is not hospital-bulk's. Is --url right?"
    )


@contextmanager
def failures_named() -> Iterator[None]:
    """Raises NeverSent or NoAnswer for what goes wrong between us and the service."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
        raise NeverSent(f"The service at {_origin(error)} cannot be reached ({_reason(error)}).") from error
    except httpx.LocalProtocolError as error:
        # What was announced and what was sent differ in length.
        raise NoAnswer("The file changed while it was being sent.") from error
    except httpx.TimeoutException as error:
        raise NoAnswer(f"The service at {_origin(error)} did not answer in time.") from error
    except httpx.TransportError as error:
        raise NoAnswer(f"The connection to {_origin(error)} broke ({_reason(error)}).") from error


def _origin(error: httpx.TransportError) -> str:
    url = error.request.url
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _reason(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time"
    return str(error) or type(error).__name__
