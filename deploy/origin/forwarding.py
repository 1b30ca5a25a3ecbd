"""Forwards requests to the services. Both bodies are streamed: memory stays small, whatever their size."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import aiohttp
import structlog
import yarl
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from deploy.origin import headers
from deploy.origin.routes import service_for
from shared.runtime.http.problems import Problem

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_SECONDS = 2.0
READ_TIMEOUT_SECONDS = 300.0
#: Longer than the services' 20 s, so that a service that knows of the request answers in its own words.
BODY_SECONDS = 25.0


def client_session() -> aiohttp.ClientSession:
    """A session that adds nothing: no cookies, no headers, no unpacking. Needs a running event loop."""
    return aiohttp.ClientSession(
        # A new connection for each request: the service may close a kept one just as a POST is sent on it, and a POST
        # must not be sent twice. On one machine a connection costs 0.1 ms.
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=READ_TIMEOUT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
    )


class RelayedResponse(StreamingResponse):
    """A service's response, sent on chunk by chunk as it arrives."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        super().__init__(answer.content.iter_any(), answer.status)
        self.raw_headers = headers.response_headers(answer.raw_headers)
        self._answer = answer

    async def stream_response(self, send: Send) -> None:
        """Leaves out the last chunk when the service broke off, so that the client sees an incomplete response."""
        try:
            await super().stream_response(send)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("service_broke_off", url=str(self._answer.url), reason=str(error) or type(error).__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the response; closes the connection to the service when the client has disconnected."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.close()


class _Body:
    """A request's body as it comes. `is_late` once nothing of it has come for so many seconds."""

    def __init__(self, request: Request, seconds: float) -> None:
        self._request = request
        self._seconds = seconds
        self.is_late = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises TimeoutError when it is late."""
        stream = self._request.stream()
        # aiohttp sends the head with the first piece of the body. A service that wants no body answers the head.
        yield b""
        try:
            while True:
                async with asyncio.timeout(self._seconds):
                    chunk = await anext(stream, None)
                if chunk is None:
                    return
                yield chunk
        except TimeoutError:
            self.is_late = True
            raise


class ReverseProxy:
    """The ASGI app that forwards each request to its service.

    A service may answer before it has read the whole body. The client receives that answer, since uvicorn goes on
    reading what the client still sends. `body_seconds`: how long a client may be silent before its body is whole.
    """

    def __init__(
        self, session: aiohttp.ClientSession, services: Mapping[str, str], body_seconds: float = BODY_SECONDS
    ) -> None:
        self._session = session
        self._body_seconds = body_seconds
        self._services = {name: yarl.URL(url) for name, url in services.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with a 503 problem document when the service cannot be reached."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Problem as problem:
            response = problem.response()
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        service = service_for(request.scope["path"])
        body = _Body(request, self._body_seconds)
        try:
            answer = await self._session.request(
                request.method,
                self._target(service, request),
                headers=headers.request_headers(request.headers.raw, request.client, request.url),
                data=body.chunks() if _has_body(request) else None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if body.is_late:
                raise Problem(408, "request_timeout", "The body did not come in time. Please send it again.") from error
            log.warning("service_unreachable", service=service, reason=str(error) or type(error).__name__)
            raise service_unavailable(service) from error
        return RelayedResponse(answer)

    def _target(self, service: str, request: Request) -> yarl.URL:
        path = request.scope["raw_path"].decode("latin-1")
        if not path.startswith("/"):
            # Such as `GET http://elsewhere/ HTTP/1.1`: the origin calls its own services and nobody else.
            raise Problem(400, "invalid_request", "The request's path must begin with a slash.")
        base = self._services[service]
        return yarl.URL.build(
            scheme=base.scheme,
            authority=base.authority,
            path=base.raw_path.rstrip("/") + path,
            query_string=request.scope["query_string"].decode("latin-1"),
            encoded=True,
        )


def service_unavailable(service: str) -> Problem:
    """503: the service is down or starting."""
    return Problem(
        503,
        "service_unavailable",
        f"The {service} service cannot be reached at the moment. Please try again in a few seconds.",
        retry_after=5,
    )


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
