"""What the directory answered, and which outcome of a call that is."""

import json
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
    LookUpOutcome,
    Refused,
    Rejected,
    ServerError,
    Throttled,
    Unanswered,
    Unlisted,
)
from services.processor.directory.retry_after import seconds_of
from shared.contract.events import RowAccepted
from shared.contract.hospital_matching import matching_key

MAX_MESSAGE_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response that has been read to its end."""

    response: aiohttp.ClientResponse
    body: bytes

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def is_success(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    @property
    def retry_after(self) -> float | None:
        """How long the directory wants silence, in seconds; elsewhere (301) the header means something else."""
        wishes = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
        return seconds_of(self.response.headers.get("Retry-After")) if self.status in wishes else None

    def json(self) -> Any:
        """The body as JSON, None when it is none."""
        try:
            return from_json(self.body)
        except ValueError:
            return self._odd_json()

    def _odd_json(self) -> Any:
        """Not everybody writes UTF-8 without a byte order mark; the standard library reads that too, but slowly."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def words(self) -> str:
        """What the directory said, as a person would read it."""
        body = self.json()
        if isinstance(body, dict):
            body = next((body[key] for key in ("detail", "message", "error") if body.get(key)), body)
        if isinstance(body, list):
            body = "; ".join(_problem(item) for item in body)
        words = str(body) if body is not None else self._text()
        # Half characters cannot be written as JSON, and PostgreSQL refuses NUL.
        words = "".join(letter if letter.isprintable() else " " for letter in words[: 2 * MAX_MESSAGE_CHARACTERS])
        return (words.strip() or f"HTTP {self.status} {self.response.reason or ''}".strip())[:MAX_MESSAGE_CHARACTERS]

    def _text(self) -> str:
        return self.body.decode(self.response.get_encoding(), errors="replace").strip()


def creation(row: RowAccepted, answer: Answer) -> CallOutcome:
    """What an answer to a creation means."""
    if not answer.is_success:
        return _failure(answer)
    body = answer.json()
    hospital_id = body.get("id") if isinstance(body, dict) else None
    if not _is_id(hospital_id):
        return Unanswered("the directory's answer has no id", answer.status)
    # A hospital that went into another batch is not found there either.
    in_batch = str(body.get("creation_batch_id", row.batch_id)) == row.batch_id
    return Created(hospital_id, echoed=in_batch and _is_echo(row, body))


def _is_echo(row: RowAccepted, body: dict[str, Any]) -> bool:
    name, address, phone = (body.get(part, getattr(row, part)) for part in ("name", "address", "phone"))
    if (name, address, phone) == (row.name, row.address, row.phone):
        return True  # as nearly always: nothing has to be folded
    return matching_key(row.name, row.address, row.phone) == matching_key(str(name), str(address), _phone(phone))


def look_up(answer: Answer) -> LookUpOutcome:
    """What an answer to a look-up means. 404: there is nothing of the batch."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return Listed(())
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(answer.retry_after)
    return _listing(answer) if answer.is_success else Unlisted(answer.words(), answer.retry_after)


def _listing(answer: Answer) -> Listed | Unlisted:
    body = answer.json()
    whole = "next" not in answer.response.links
    if isinstance(body, dict):  # a page: {"items": [...], "next": ...} or the like
        whole = False
        body = next((value for value in body.values() if isinstance(value, list)), None)
    if not isinstance(body, list):
        return Unlisted("the look-up's answer is not a list")
    hospitals = tuple(
        Listing(item["id"], str(item.get("name", "")), str(item.get("address", "")), _phone(item.get("phone")))
        for item in body
        if isinstance(item, dict) and _is_id(item.get("id"))
    )
    return Listed(hospitals, whole=whole and len(hospitals) == len(body))


def activation(answer: Answer) -> ActivationOutcome:
    """What an answer to an activation means. 404: there is no such batch, and asking again will not make one."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return Rejected(answer.status, answer.words())
    return Activated(answer.words()) if answer.is_success else _failure(answer)


def _failure(answer: Answer) -> Rejected | Conflicted | Throttled | Refused | ServerError | Unanswered:
    status, message = answer.status, answer.words()
    match status:
        case 409:
            return Conflicted(message)
        case 429:
            return Throttled(answer.retry_after)
        case 401 | 403 | 404 | 405 | 408 | 425:
            return Refused(status, message)
        case 500:
            return ServerError(message)
        case _ if 400 <= status < 500:
            return Rejected(status, message)
        case _:
            return Unanswered(message, status, answer.retry_after)


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
