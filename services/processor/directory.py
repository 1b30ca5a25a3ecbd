"""The hospital directory's HTTP API: one method per call, one outcome per answer, never an exception.

httpx over aiohttp's connections (httpx's own pool looks at every connection for every request), and without httpx's
client, which spends a third of a call's CPU on cookies, redirects and merging what we do not use. `gate` is asked when
the connection is there, and once more right before the first byte is written: aiohttp writes a request with a body in
a task of its own, and a process that is frozen between the two must not send when it thaws. If the gate refuses,
nothing is sent. That is also where "never sent" ends: whatever goes wrong afterwards may have reached the directory.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Self, TypeGuard
from urllib.parse import quote

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from services.processor.outcomes import (
    Activated,
    ActivationOutcome,
    CallOutcome,
    Conflicted,
    Created,
    Listed,
    Listing,
    LookUpOutcome,
    NeverSent,
    Refused,
    Rejected,
    ServerError,
    Throttled,
    Unanswered,
    Unlisted,
    Withheld,
)
from services.processor.retry_after import seconds_of
from services.processor.settings import DirectorySettings
from shared.events import RowAccepted
from shared.likeness import likeness

#: Idle connections are closed by us before the directory does it in the middle of our next request.
KEEP_ALIVE_SECONDS = 2.0
MAX_MESSAGE_CHARACTERS = 500

#: Asked when a connection is there, and again right before the first byte: True = send.
Gate = Callable[[], bool]


class _Closed(Exception):
    """The gate is closed."""


class _Passage:
    """Whether a request has passed its gate."""

    __slots__ = ("gate", "has_body", "passed", "refused")

    def __init__(self, gate: Gate, *, has_body: bool) -> None:
        self.gate = gate
        self.has_body = has_body
        self.passed = False
        self.refused = False

    def ask(self, *, last: bool) -> None:
        """Raises _Closed when the gate refuses. `last`: what comes next is the first byte."""
        self.refused = not self.gate()
        if self.refused:
            raise _Closed
        self.passed = last


_passage: ContextVar[_Passage | None] = ContextVar("passage", default=None)


async def _connected(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    passage = _passage.get()
    if passage is not None:
        passage.ask(last=not passage.has_body)


async def _about_to_write(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    """aiohttp calls this before it writes a chunk of the body; the headers go out with the first."""
    passage = _passage.get()
    if passage is not None and not passage.passed:
        passage.ask(last=True)


def _always() -> bool:
    return True


class Directory:
    """A client of the directory; an async context manager."""

    def __init__(self, settings: DirectorySettings) -> None:
        self._settings = settings
        self._url = str(settings.hospital_api_base_url).rstrip("/")
        self._hospitals = httpx.URL(f"{self._url}/hospitals/")
        token = settings.hospital_api_token
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": "hospital-bulk",
            **({"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}),
        }
        self._transport: AiohttpTransport | None = None

    async def __aenter__(self) -> Self:
        limit = self._settings.hospital_api_max_connections
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_connected)
        trace.on_connection_reuseconn.append(_connected)
        trace.on_request_chunk_sent.append(_about_to_write)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, keepalive_timeout=KEEP_ALIVE_SECONDS, ssl=_tls(self._url)),
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[trace],
            auto_decompress=False,  # httpx does it
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._transport = AiohttpTransport(client=session)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    async def create(self, row: RowAccepted, gate: Gate, traceparent: str | None = None) -> CallOutcome:
        """POST /hospitals/: one hospital, if the answer says so."""
        body = {
            "name": row.name,
            "address": row.address,
            "phone": row.phone,
            "creation_batch_id": row.batch_id,
        }
        headers = {"Idempotency-Key": quote(row.event_id, safe=":")}
        if traceparent:
            headers["traceparent"] = traceparent
        answer = await self._call("POST", self._hospitals, gate, body, headers)
        if not isinstance(answer, httpx.Response):
            return answer
        return _creation(row, answer) if answer.is_success else _failure(answer)

    async def look_up(self, batch_id: str, gate: Gate = _always) -> LookUpOutcome:
        """GET /hospitals/batch/{id}: what the directory holds of a batch. 404 means none."""
        answer = await self._call("GET", self._batch(batch_id), gate)
        match answer:
            case NeverSent() | Withheld():
                return answer
            case Unanswered(message):
                return Unlisted(message)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return Listed(())
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return Throttled(_retry_after(answer))
        return _listing(answer) if answer.is_success else Unlisted(_words(answer), _retry_after(answer))

    async def activate(self, batch_id: str, gate: Gate = _always) -> ActivationOutcome:
        """PATCH /hospitals/batch/{id}/activate. May be repeated."""
        answer = await self._call("PATCH", f"{self._batch(batch_id)}/activate", gate)
        if not isinstance(answer, httpx.Response):
            return answer
        if answer.status_code == httpx.codes.NOT_FOUND:
            return Rejected(404, _words(answer))  # there is no such batch: asking again will not make one
        return Activated(_words(answer)) if answer.is_success else _failure(answer)

    def _batch(self, batch_id: str) -> str:
        return f"{self._url}/hospitals/batch/{_segment(batch_id)}"

    async def _call(
        self,
        method: str,
        url: httpx.URL | str,
        gate: Gate,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response | NeverSent | Withheld | Unanswered:
        if self._transport is None:
            raise RuntimeError("the directory is used outside its context")
        passage = _Passage(gate, has_body=body is not None)
        token = _passage.set(passage)
        try:
            # A total deadline: httpx's time-outs are per read, and a dripping server outlasts them.
            async with asyncio.timeout(self._settings.hospital_api_timeout):
                request = httpx.Request(method, url, headers=self._headers | (headers or {}), json=body)
                return await _answer(self._transport, request)
        except _Closed:
            return Withheld()
        except TimeoutError:
            return self._broken(passage, f"no answer within {self._settings.hospital_api_timeout:g} s")
        except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
            return self._broken(passage, str(error) or type(error).__name__)
        finally:
            _passage.reset(token)

    def _broken(self, passage: _Passage, message: str) -> NeverSent | Withheld | Unanswered:
        if passage.passed:
            return Unanswered(message)
        return Withheld() if passage.refused else NeverSent(f"no connection: {message}")


async def _answer(transport: AiohttpTransport, request: httpx.Request) -> httpx.Response:
    answer = await transport.handle_async_request(request)
    try:
        await answer.aread()
    except BaseException:
        await answer.aclose()  # half an answer leaves a connection that nobody can use
        raise
    return answer


def _tls(url: str) -> ssl.SSLContext | bool:
    return ssl.create_default_context() if url.startswith("https:") else True


def _creation(row: RowAccepted, answer: httpx.Response) -> CallOutcome:
    body = _json(answer)
    hospital_id = body.get("id") if isinstance(body, dict) else None
    if not _is_id(hospital_id):
        return Unanswered("the directory's answer has no id", answer.status_code)
    sent = likeness(row.name, row.address, row.phone)
    echo = likeness(
        str(body.get("name", row.name)), str(body.get("address", row.address)), _phone(body.get("phone", row.phone))
    )
    # A hospital that went into another batch is not found there either.
    in_batch = str(body.get("creation_batch_id", row.batch_id)) == row.batch_id
    return Created(hospital_id, echoed=sent == echo and in_batch)


def _is_id(value: object) -> TypeGuard[int | str]:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and value != "" and value.isprintable()
    )


def _segment(batch_id: str) -> str:
    """A batch's id as one part of a path, also when it is nothing that we would have made."""
    # A path of dots only would be resolved away.
    return quote(batch_id, safe="").replace(".", "%2E")


def _phone(value: object) -> str | None:
    return None if value is None else str(value)


def _failure(answer: httpx.Response) -> Rejected | Conflicted | Throttled | Refused | ServerError | Unanswered:
    status, message = answer.status_code, _words(answer)
    match status:
        case 409:
            return Conflicted(message)
        case 429:
            return Throttled(_retry_after(answer))
        case 401 | 403 | 404 | 405 | 408 | 425:
            return Refused(status, message)
        case 500:
            return ServerError(message)
        case _ if 400 <= status < 500:
            return Rejected(status, message)
        case _:
            return Unanswered(message, status, _retry_after(answer))


def _retry_after(answer: httpx.Response) -> float | None:
    """How long the directory wants silence, in seconds; elsewhere (301) the header means something else."""
    wishes = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)
    return seconds_of(answer.headers.get("Retry-After")) if answer.status_code in wishes else None


def _listing(answer: httpx.Response) -> Listed | Unlisted:
    body = _json(answer)
    whole = "next" not in answer.links
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


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _words(answer: httpx.Response) -> str:
    """What the directory said, as a person would read it."""
    body = _json(answer)
    if isinstance(body, dict):
        body = next((body[key] for key in ("detail", "message", "error") if body.get(key)), body)
    if isinstance(body, list):
        body = "; ".join(_problem(item) for item in body)
    words = str(body) if body is not None else answer.text.strip()
    # Half characters cannot be written as JSON, and PostgreSQL refuses NUL.
    words = "".join(letter if letter.isprintable() else " " for letter in words[: 2 * MAX_MESSAGE_CHARACTERS]).strip()
    return (words or f"HTTP {answer.status_code} {answer.reason_phrase}")[:MAX_MESSAGE_CHARACTERS]


def _problem(item: object) -> str:
    if isinstance(item, dict) and "msg" in item:
        place = ".".join(str(part) for part in item.get("loc", ()) if part != "body")
        return f"{place}: {item['msg']}" if place else str(item["msg"])
    return str(item)
