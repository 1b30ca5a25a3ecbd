"""The hospital directory's HTTP API: one method per call, one outcome per call, never an exception.

aiohttp without httpx around it: httpx's requests and responses made each call half as expensive again.
"""

import ssl
from typing import Self
from urllib.parse import quote

import aiohttp
import structlog
from pydantic_core import to_json
from yarl import URL

from services.processor.directory.body import ANSWER_BYTES, LISTING_BYTES, read_body
from services.processor.directory.deadlines import Deadlines
from services.processor.directory.outcomes import (
    ActivationOutcome,
    CallOutcome,
    ConnectionFailed,
    LookupFailed,
    LookUpOutcome,
    NotSent,
    Unanswered,
)
from services.processor.directory.responses import Response, activation_outcome, creation_outcome, look_up_outcome
from services.processor.directory.send_guard import (
    GuardedBody,
    GuardedCall,
    SendForbidden,
    SendGuard,
    guard_without_body,
)
from services.processor.directory.sockets import CAN_EXPIRE, expiring_sockets
from services.processor.settings import DirectorySettings
from shared.contract.events import RowAccepted

log = structlog.get_logger(__name__)

#: We close idle connections before the directory does, which would break our next request on them.
KEEP_ALIVE_SECONDS = 2.0


def _always() -> bool:
    return True


class DirectoryClient:
    """A client of the directory; an async context manager."""

    def __init__(self, settings: DirectorySettings) -> None:
        self._settings = settings
        self._url = str(settings.hospital_api_base_url).rstrip("/")
        self._hospitals = URL(f"{self._url}/hospitals/")
        self._deadlines = Deadlines(settings.hospital_api_timeout)
        #: Two sessions share the connections: only calls without a body need the guard's trace, which costs time.
        self._with_body: aiohttp.ClientSession | None = None
        self._without_body: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        limit = self._settings.hospital_api_max_connections
        connector = aiohttp.TCPConnector(
            limit=limit,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            ssl=_tls(self._url),
            socket_factory=expiring_sockets(self._settings.hospital_api_timeout),
        )
        if not CAN_EXPIRE:
            log.warning("late_delivery_possible", reason="this platform has no TCP_USER_TIMEOUT: see docs/limits.md")
        self._with_body = self._session(connector)
        self._without_body = self._session(connector, guard_without_body())
        return self

    def _session(self, connector: aiohttp.TCPConnector, *traces: aiohttp.TraceConfig) -> aiohttp.ClientSession:
        token = self._settings.hospital_api_token
        return aiohttp.ClientSession(
            connector=connector,
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": "hospital-bulk",
                **({"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}),
            },
            # `Deadlines` is used instead: aiohttp rounds its own up to a whole second.
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[*traces],
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aexit__(self, *_: object) -> None:
        for session in (self._with_body, self._without_body):
            if session is not None:
                await session.close()

    async def create(self, row: RowAccepted, guard: SendGuard, traceparent: str | None = None) -> CallOutcome:
        """POST /hospitals/: creates one hospital. Never repeat it before a look-up: the directory would double it."""
        body = {
            "name": row.name,
            "address": row.address,
            "phone": row.phone,
            "creation_batch_id": row.batch_id,
        }
        headers = {"Idempotency-Key": quote(row.event_id, safe=":")}
        if traceparent:
            headers["traceparent"] = traceparent
        response = await self._call("POST", self._hospitals, guard, body, headers)
        return creation_outcome(row, response) if isinstance(response, Response) else response

    async def look_up(self, batch_id: str, guard: SendGuard = _always) -> LookUpOutcome:
        """GET /hospitals/batch/{id}: the hospitals that the directory holds of a batch."""
        response = await self._call("GET", self._batch(batch_id), guard, longest_answer=LISTING_BYTES)
        match response:
            case Response():
                return look_up_outcome(response)
            case Unanswered(message):
                return LookupFailed(message)
            case _:
                return response

    async def activate(self, batch_id: str, guard: SendGuard = _always) -> ActivationOutcome:
        """PATCH /hospitals/batch/{id}/activate. May be repeated."""
        response = await self._call("PATCH", self._batch(batch_id, "/activate"), guard)
        return activation_outcome(response) if isinstance(response, Response) else response

    def _batch(self, batch_id: str, path: str = "") -> URL:
        # Any id is one segment of the path, whoever made it. An unquoted segment of dots would be resolved away.
        segment = quote(batch_id, safe="").replace(".", "%2E")
        return URL(f"{self._url}/hospitals/batch/{segment}{path}", encoded=True)

    async def _call(
        self,
        method: str,
        url: URL,
        guard: SendGuard,
        body: dict[str, str | None] | None = None,
        headers: dict[str, str] | None = None,
        *,
        longest_answer: int = ANSWER_BYTES,
    ) -> Response | ConnectionFailed | NotSent | Unanswered:
        session = self._without_body if body is None else self._with_body
        if session is None:
            raise RuntimeError("the directory is used outside its context")
        call = GuardedCall(guard)
        try:
            # A deadline for the whole call: a server that drips bytes outlasts time-outs per read.
            with self._deadlines.begin():
                response = await session.request(
                    method,
                    url,
                    data=None if body is None else GuardedBody(to_json(body), call),
                    headers=headers,
                    allow_redirects=False,
                    trace_request_ctx=call,
                )
                return Response(response, await read_body(response, longest_answer))
        except SendForbidden:
            return NotSent()
        except TimeoutError:
            call.give_up()
            return self._without_response(call, f"no answer within {self._settings.hospital_api_timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._without_response(call, str(error) or type(error).__name__)

    @staticmethod
    def _without_response(call: GuardedCall, message: str) -> ConnectionFailed | NotSent | Unanswered:
        if call.sent:
            return Unanswered(message)
        return NotSent() if call.forbidden else ConnectionFailed(f"no connection: {message}")


def _tls(url: str) -> ssl.SSLContext | bool:
    return ssl.create_default_context() if url.startswith("https:") else True
