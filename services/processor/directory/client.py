"""The hospital directory's HTTP API: one method per call, one outcome per answer, never an exception.

aiohttp, without httpx over it: httpx's requests and responses cost more than half as much again as the call itself.
"""

import ssl
from typing import Self
from urllib.parse import quote

import aiohttp
from pydantic_core import to_json
from yarl import URL

from services.processor.directory.deadlines import Deadlines
from services.processor.directory.outcomes import (
    ActivationOutcome,
    CallOutcome,
    LookUpOutcome,
    NeverSent,
    Unanswered,
    Unlisted,
    Withheld,
)
from services.processor.directory.responses import Answer, activation, creation, look_up
from services.processor.directory.send_guard import Gate, GateClosed, GatedBody, Passage, gated_without_body
from services.processor.settings import DirectorySettings
from shared.contract.events import RowAccepted

#: Idle connections are closed by us before the directory does it in the middle of our next request.
KEEP_ALIVE_SECONDS = 2.0


def _always() -> bool:
    return True


class Directory:
    """A client of the directory; an async context manager."""

    def __init__(self, settings: DirectorySettings) -> None:
        self._settings = settings
        self._url = str(settings.hospital_api_base_url).rstrip("/")
        self._hospitals = URL(f"{self._url}/hospitals/")
        self._deadlines = Deadlines(settings.hospital_api_timeout)
        #: Two sessions over the same connections: only calls without a body need the trace.
        self._with_body: aiohttp.ClientSession | None = None
        self._without_body: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        limit = self._settings.hospital_api_max_connections
        connector = aiohttp.TCPConnector(limit=limit, keepalive_timeout=KEEP_ALIVE_SECONDS, ssl=_tls(self._url))
        self._with_body = self._session(connector)
        self._without_body = self._session(connector, gated_without_body())
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
            # The deadline is ours: aiohttp's own is rounded up to a whole second.
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[*traces],
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aexit__(self, *_: object) -> None:
        for session in (self._with_body, self._without_body):
            if session is not None:
                await session.close()

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
        return creation(row, answer) if isinstance(answer, Answer) else answer

    async def look_up(self, batch_id: str, gate: Gate = _always) -> LookUpOutcome:
        """GET /hospitals/batch/{id}: what the directory holds of a batch."""
        answer = await self._call("GET", self._batch(batch_id), gate)
        match answer:
            case Answer():
                return look_up(answer)
            case Unanswered(message):
                return Unlisted(message)
            case _:
                return answer

    async def activate(self, batch_id: str, gate: Gate = _always) -> ActivationOutcome:
        """PATCH /hospitals/batch/{id}/activate. May be repeated."""
        answer = await self._call("PATCH", self._batch(batch_id, "/activate"), gate)
        return activation(answer) if isinstance(answer, Answer) else answer

    def _batch(self, batch_id: str, what: str = "") -> URL:
        # A batch's id is one part of the path, also when it is nothing that we would have made: a part of dots only
        # would be resolved away.
        part = quote(batch_id, safe="").replace(".", "%2E")
        return URL(f"{self._url}/hospitals/batch/{part}{what}", encoded=True)

    async def _call(
        self,
        method: str,
        url: URL,
        gate: Gate,
        body: dict[str, str | None] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer | NeverSent | Withheld | Unanswered:
        session = self._without_body if body is None else self._with_body
        if session is None:
            raise RuntimeError("the directory is used outside its context")
        passage = Passage(gate)
        try:
            # A total deadline: time-outs per read are outlasted by a dripping server.
            with self._deadlines.begin():
                response = await session.request(
                    method,
                    url,
                    data=None if body is None else GatedBody(to_json(body), passage),
                    headers=headers,
                    allow_redirects=False,
                    trace_request_ctx=passage,
                )
                return Answer(response, await response.read())
        except GateClosed:
            return Withheld()
        except TimeoutError:
            return self._broken(passage, f"no answer within {self._settings.hospital_api_timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._broken(passage, str(error) or type(error).__name__)

    @staticmethod
    def _broken(passage: Passage, message: str) -> NeverSent | Withheld | Unanswered:
        if passage.passed:
            return Unanswered(message)
        return Withheld() if passage.refused else NeverSent(f"no connection: {message}")


def _tls(url: str) -> ssl.SSLContext | bool:
    return ssl.create_default_context() if url.startswith("https:") else True
