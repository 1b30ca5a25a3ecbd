"""Reads the directory's HTTP responses: which outcome of a call each one is.

Something else may answer in the directory's place: an ingress whose backend is gone, a proxy, a login page, a web
server that HOSPITAL_API_BASE_URL names by mistake. So nothing final follows from a web page: neither that a batch does
not exist, nor that a row is rejected, nor that a batch is activated.
"""

import codecs
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeGuard

import aiohttp
from pydantic_core import from_json

from services.processor.directory.outcomes import (
    Activated,
    ActivationOutcome,
    CallOutcome,
    Conflicted,
    Created,
    Listed,
    Listing,
    LookupFailed,
    LookUpOutcome,
    Rejected,
    ServerError,
    ServiceRejected,
    Throttled,
    Unanswered,
)
from services.processor.directory.retry_after import parse_retry_after
from shared.contract.events import RowAccepted
from shared.contract.hospital_matching import matching_key

MAX_MESSAGE_CHARACTERS = 500
#: Of a body that is not JSON no more than this is read for a message.
_READ_BYTES = 4096
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response that has been read to its end."""

    http: aiohttp.ClientResponse
    body: bytes

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.http.status

    @property
    def is_success(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    @property
    def retry_after(self) -> float | None:
        """Retry-After of a 429 or 503, in seconds. With other statuses (301) the header means something else."""
        statuses = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
        return parse_retry_after(self.http.headers.get("Retry-After")) if self.status in statuses else None

    def json(self) -> Any:
        """The body as JSON, None when it is not JSON."""
        try:
            return from_json(self.body)
        except ValueError:
            return self._lenient_json()

    def _lenient_json(self) -> Any:
        """Also reads UTF-16 and a byte order mark, but slowly."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def declared_json(self) -> dict[str, Any] | list[Any] | None:
        """The body, when the response says that it is JSON and it is an object or a list; else None.

        Only the directory itself answers so, or a gateway that speaks JSON too.
        """
        kind = self.http.content_type
        body = self.json() if kind == "application/json" or kind.endswith("+json") else None
        return body if isinstance(body, (dict, list)) else None

    @property
    def is_page(self) -> bool:
        """Whether it is a web page, and so not from the directory."""
        if self.body[:64].lstrip().startswith(b"<"):
            return True
        return "html" in self.http.content_type and not isinstance(self.json(), (dict, list))

    def foreign_message(self) -> str:
        """Says to a person that something else has answered, and what to look at."""
        kind = self.http.headers.get("Content-Type", "no content type").partition(";")[0]
        text = self._printable(self._title() if self.is_page else self._text())[:100]
        return self._printable(
            f"HTTP {self.status} came with something else than the directory's JSON ({kind}: {text!r}). "
            "Is HOSPITAL_API_BASE_URL right?"
        )

    def message(self) -> str:
        """The response's message for a person: at most 500 printable characters."""
        if self.is_page:
            # Gateways answer 5xx when the directory is down; other pages mean that the address is wrong.
            return self._printable(self._title()) if self.status >= 500 else self.foreign_message()
        body = self.json()
        if isinstance(body, dict):
            body = next((body[key] for key in ("detail", "message", "error") if body.get(key)), body)
        if isinstance(body, list):
            body = "; ".join(_problem(item) for item in body)
        return self._printable(str(body) if body is not None else self._text())

    def _printable(self, text: str) -> str:
        # Lone surrogates cannot be written as JSON, and PostgreSQL refuses NUL.
        text = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * MAX_MESSAGE_CHARACTERS])
        return (text.strip() or f"HTTP {self.status} {self.http.reason or ''}".strip())[:MAX_MESSAGE_CHARACTERS]

    def _text(self) -> str:
        try:
            encoding = codecs.lookup(self.http.charset or "utf-8").name
        except (LookupError, ValueError):
            encoding = "utf-8"
        return self.body[:_READ_BYTES].decode(encoding, errors="replace").strip()

    def _title(self) -> str:
        title = _TITLE.search(self.body[:_READ_BYTES])
        return title[1].decode(errors="replace").strip() if title else ""


def creation_outcome(row: RowAccepted, response: Response) -> CallOutcome:
    """The outcome of a creation."""
    if not response.is_success:
        return _failure(response)
    body = response.json()
    hospital_id = body.get("id") if isinstance(body, dict) else None
    if not _is_id(hospital_id):
        message = response.foreign_message() if response.is_page else "the directory's answer has no id"
        return Unanswered(message, response.status)
    # A look-up asks for the row's batch. It would not find a hospital that the directory put into another one.
    in_batch = str(body.get("creation_batch_id", row.batch_id)) == row.batch_id
    return Created(hospital_id, echoed=in_batch and _is_echo(row, body))


def _is_echo(row: RowAccepted, body: dict[str, Any]) -> bool:
    name, address, phone = (body.get(part, getattr(row, part)) for part in ("name", "address", "phone"))
    if (name, address, phone) == (row.name, row.address, row.phone):
        return True  # nearly always: the matching keys need not be made
    return matching_key(row.name, row.address, row.phone) == matching_key(str(name), str(address), _phone(phone))


def look_up_outcome(response: Response) -> LookUpOutcome:
    """The outcome of a look-up. 404 in JSON: the directory holds nothing of the batch."""
    if response.status == HTTPStatus.NOT_FOUND:
        return LookupFailed(response.foreign_message()) if response.declared_json() is None else Listed(())
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(response.retry_after)
    return _listing(response) if response.is_success else LookupFailed(response.message(), response.retry_after)


def _listing(response: Response) -> Listed | LookupFailed:
    body: Any = response.declared_json()
    if body is None:
        return LookupFailed(response.foreign_message())
    whole = "next" not in response.http.links
    if isinstance(body, dict):  # a page: {"items": [...], "next": ...} or the like
        whole = False
        body = next((value for value in body.values() if isinstance(value, list)), None)
    if not isinstance(body, list):
        return LookupFailed("the look-up's answer is not a list")
    hospitals = tuple(
        Listing(item["id"], str(item.get("name", "")), str(item.get("address", "")), _phone(item.get("phone")))
        for item in body
        if isinstance(item, dict) and _is_id(item.get("id"))
    )
    return Listed(hospitals, whole=whole and len(hospitals) == len(body))


def activation_outcome(response: Response) -> ActivationOutcome:
    """The outcome of an activation. 404 in JSON: there is no such batch, and asking again will not change that."""
    if response.status == HTTPStatus.NOT_FOUND and response.declared_json() is not None:
        return Rejected(response.status, response.message())
    if not response.is_success:
        return _failure(response)
    if response.body and response.declared_json() is None:
        return Unanswered(response.foreign_message(), response.status)
    return Activated(response.message())


def _failure(response: Response) -> Rejected | Conflicted | Throttled | ServiceRejected | ServerError | Unanswered:
    status, message = response.status, response.message()
    match status:
        case 429:
            return Throttled(response.retry_after)
        case 401 | 403 | 404 | 405 | 408 | 425:
            return ServiceRejected(status, message)
        case _ if response.is_page:
            # Not Rejected: a wrong address would reject every row for good. It counts as an attempt when the directory
            # itself answers the look-up, so a firewall that refuses one row does not keep the row for ever.
            return Unanswered(message, status, response.retry_after)
        case 409:
            return Conflicted(message)
        case 500:
            return ServerError(message)
        case _ if 400 <= status < 500:
            return Rejected(status, message)
        case _:
            return Unanswered(message, status, response.retry_after)


def _is_id(value: object) -> TypeGuard[int | str]:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and value != "" and value.isprintable()
    )


def _phone(value: object) -> str | None:
    return None if value is None else str(value)


def _problem(item: object) -> str:
    if isinstance(item, dict) and "msg" in item:
        place = ".".join(str(part) for part in item.get("loc", ()) if part != "body")
        return f"{place}: {item['msg']}" if place else str(item["msg"])
    return str(item)
