"""Turns HTTP responses and transport failures into documents or errors (errors.py). Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import httpx
from pydantic import ValidationError

from client.errors import Busy, ClientError, NeverSent, NoAnswer, Refused, UnexpectedResponse
from client.schemas import Document, Problem

D = TypeVar("D", bound=Document)

#: Statuses after which the same request may succeed.
_TEMPORARY: Final = frozenset({408, 425, 429, 500, 503, 504})
_BAD_GATEWAY: Final = 502


def parse(answer: httpx.Response, kind: type[D]) -> D:
    """The document in a response whose body was read. Raises Refused, Busy or UnexpectedResponse."""
    if not answer.is_success:
        raise error_from(answer)
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError as error:
        raise _unexpected(answer) from error


def error_from(answer: httpx.Response) -> ClientError:
    """The error that an unsuccessful response means. Its body was read."""
    problem = _problem(answer)
    if problem is None and (answer.is_redirect or answer.is_client_error) and not _is_temporary(answer, Problem()):
        return _unexpected(answer)
    problem = problem or Problem()
    if not _is_temporary(answer, problem):
        return Refused(answer.status_code, problem)
    words = problem.detail or f"The service has no time at the moment (HTTP status {answer.status_code})."
    return Busy(words, _retry_after(answer), problem.error_type or "busy")


def _is_temporary(answer: httpx.Response, problem: Problem) -> bool:
    if answer.status_code == _BAD_GATEWAY:
        # Without an error type it is a proxy's own; the service's 502 is about the directory, and final.
        return problem.error_type is None
    return answer.status_code in _TEMPORARY or problem.error_type == "in_progress"


def _problem(answer: httpx.Response) -> Problem | None:
    try:
        return Problem.model_validate_json(answer.content)
    except ValidationError:
        return None


def _retry_after(answer: httpx.Response) -> float | None:
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def _unexpected(answer: httpx.Response) -> UnexpectedResponse:
    where = answer.request.url.copy_with(query=None)
    return UnexpectedResponse(
        f"{where} gave an answer (HTTP status {answer.status_code}) that is not hospital-bulk's. Is --url right?"
    )


@contextmanager
def translate_transport_errors() -> Iterator[None]:
    """Raises NeverSent or NoAnswer in place of httpx's transport errors."""
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
