"""The page with a fake API: it answers what a test has set, and keeps the requests."""

import asyncio
import json
import socket
import threading
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from services.status.web.page_files import PageFiles
from shared.runtime.http.problems import Problem
from tests.page.sent_file import SentFile, sent_file

JOB_ID = "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11"


def job(job_id: str = JOB_ID, **changes: Any) -> dict[str, Any]:
    """A job of 40 rows as the status service answers it, running unless `changes` say otherwise."""
    running = {
        "job_id": job_id,
        "batch_ids": ["batch-1"],
        "file_name": "hospitals.csv",
        "status": "processing",
        "outcome": None,
        "message": "Processing 10 of 40 hospitals",
        "total_hospitals": 40,
        "processed_hospitals": 10,
        "created_hospitals": 10,
        "failed_hospitals": 0,
        "unprocessed_hospitals": 0,
        "unknown_hospitals": 0,
        "corrects": None,
        "corrected_by": [],
        "corrected_hospitals": 0,
        "progress_percentage": 25.0,
        "activated": False,
        "created_at": "2026-03-01T09:30:00Z",
        "started_at": "2026-03-01T09:30:01Z",
        "completed_at": None,
        "cancel_requested_at": None,
        "cancel_reason": None,
        "processing_time_seconds": None,
        "active_seconds": 1.0,
        "eta_seconds": 30.0,
        "waiting_for": None,
        "waiting_since": None,
        "next_try_at": None,
        "error": None,
        "result": None,
    }
    return running | changes


def ended(job_id: str = JOB_ID, *, failed: int = 0, activated: bool = True, **changes: Any) -> dict[str, Any]:
    """A job of 40 rows that has ended, with so many of them failed."""
    return job(
        job_id,
        status="completed",
        outcome="some_failed" if failed else "all_created",
        processed_hospitals=40,
        created_hospitals=40 - failed,
        failed_hospitals=failed,
        progress_percentage=100.0,
        activated=activated and not failed,
        completed_at="2026-03-01T09:30:05Z",
        **{"processing_time_seconds": 4.0, "active_seconds": 4.0, "eta_seconds": None} | changes,
    )


def failures(count: int, **changes: Any) -> list[dict[str, Any]]:
    """Rows that failed, the first in row 2."""
    row = {"status": "failed", "hospital_id": None, "attempts": 3, "outcome_unknown": False}
    return [row | {"row": n + 2, "name": f"Hospital {n}", "error": f"No {n}"} | changes for n in range(count)]


def valid(total: int = 25, **changes: Any) -> dict[str, Any]:
    """What `validate` says of a file without errors, read from the columns name, address and phone."""
    verdict = {
        "valid": True,
        "total_hospitals": total,
        "errors": [],
        "errors_total": len(changes.get("errors", [])),
        "warnings": [],
        "warnings_total": len(changes.get("warnings", [])),
        "mapping": {"name": ["name"], "address": ["address"], "phone": ["phone"], "unused": []},
        "encoding": "utf-8",
        "encoding_guesses": [],
        "delimiter": ",",
        "header_row": 1,
        "sheet": None,
        "sheets": [],
        "sample": [{"row": 2, "name": "Good Hope", "address": "1 Hope Street", "phone": None}],
        "estimated_seconds": 2.5,
        "same_file_as": [],
    }
    return verdict | changes


def finding(row: int | None, column: str | None, code: str, message: str, value: str | None = None) -> dict[str, Any]:
    """An error or a warning."""
    return {"row": row, "column": column, "code": code, "message": message, "value": value}


def accepted(job_id: str = JOB_ID) -> JSONResponse:
    """What an upload answers."""
    body = {"job_id": job_id, "status": "pending", "total_hospitals": 25, "batch_ids": ["batch-1"], "same_file_as": []}
    return JSONResponse(body, 202)


class CachedPageFiles(PageFiles):
    """The page's files, cached by the browser: each test would load two dozen files again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "max-age=3600"
        return response


@dataclass
class FakeApi:
    """Gives its answers in order and repeats the last one; functions are asked.

    With `key` set, requests need a session.
    """

    validations: deque[Any] = field(default_factory=lambda: deque([valid()]))
    uploads: deque[Response] = field(default_factory=lambda: deque([accepted()]))
    states: deque[Any] = field(default_factory=lambda: deque([ended()]))
    activations: deque[Response] = field(default_factory=lambda: deque([JSONResponse({"activated": True})]))
    cancels: deque[Response] = field(default_factory=lambda: deque([command_accepted()]))
    retries: deque[Response] = field(default_factory=lambda: deque([command_accepted()]))
    resolutions: deque[Response] = field(default_factory=lambda: deque([command_accepted()]))
    listed: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    failure_counts: list[dict[str, Any]] = field(default_factory=list)
    #: What has happened: two entries a page.
    entries: list[dict[str, Any]] = field(default_factory=list)
    #: An event stream sends each job that is appended here. None: there are no streams, and the page has to poll.
    events: list[dict[str, Any]] | None = None
    key: str | None = None
    url: str = ""
    #: path → the requests that came to it, with their bodies read.
    requests: dict[str, list[Request]] = field(default_factory=lambda: defaultdict(list))

    def app(self) -> Starlette:
        """The page and the API on one origin."""
        root = "/api/v1/hospitals"
        job = f"{root}/jobs/{{job_id}}"
        routes = [
            Route(f"{root}/validate", self._answering(self.validations), methods=["POST"]),
            Route(f"{root}/bulk", self._answering(self.uploads), methods=["POST"]),
            Route(f"{root}/bulk/batch/{{batch_id}}/activate", self._answering(self.activations), methods=["PATCH"]),
            Route(f"{root}/status/{{job_id}}", self._answering(self.states)),
            Route(f"{root}/jobs", self._guarded(self._jobs)),
            Route(f"{job}/rows", self._guarded(self._rows)),
            Route(f"{job}/failures", self._guarded(lambda _: JSONResponse({"failures": self.failure_counts}))),
            Route(f"{job}/history", self._guarded(self._history)),
            Route(f"{job}/rows/{{row}}/resolve", self._answering(self.resolutions), methods=["POST"]),
            Route(f"{job}/cancel", self._answering(self.cancels), methods=["POST"]),
            Route(f"{job}/retry", self._answering(self.retries), methods=["POST"]),
            Route(f"{job}/events", self._guarded(self._events)),
            Route(f"{job}/{{name}}.csv", self._guarded(lambda _: Response("row\n2\n", media_type="text/csv"))),
            Route(f"{job}/{{name}}.xlsx", self._guarded(lambda _: Response(b"PK", media_type="application/zip"))),
            Route("/api/v1/session", self._session, methods=["POST", "DELETE"]),
            Mount("/", CachedPageFiles()),
        ]
        return Starlette(routes=routes)

    def to(self, path: str) -> list[Request]:
        """The requests to a path under /api/v1/hospitals so far."""
        return self.requests[f"/api/v1/hospitals/{path}"]

    def bodies(self, path: str) -> list[str]:
        """The bodies of these requests."""
        return [request._body.decode() for request in self.to(path)]

    def sent(self, path: str) -> list[SentFile]:
        """The files of these requests, with the parameters beside them."""
        return [sent_file(request) for request in self.to(path)]

    def keys(self) -> list[str | None]:
        """The Idempotency-Key of each upload so far."""
        return [request.headers.get("idempotency-key") for request in self.to("bulk")]

    def _guarded(self, answer: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            await request.body()
            self.requests[request.url.path].append(request)
            if self.key and request.cookies.get("hospital_session") != self.key:
                return Problem(401, "unauthorized", "Send a valid API key in the header X-API-Key.").response()
            return answer(request)

        return endpoint

    def _answering(self, answers: deque[Any]) -> Any:
        def next_answer(request: Request) -> Response:
            answer = answers.popleft() if len(answers) > 1 else answers[0]
            if callable(answer) and not isinstance(answer, Response):
                answer = answer(request)
            return answer if isinstance(answer, Response) else JSONResponse(answer)

        return self._guarded(next_answer)

    async def _session(self, request: Request) -> Response:
        if request.method == "DELETE":
            response = Response(status_code=204)
            response.delete_cookie("hospital_session")
            return response
        given = request.headers.get("x-api-key") or request.cookies.get("hospital_session")
        if self.key and given != self.key:
            return Problem(401, "unauthorized", "Send a valid API key in the header X-API-Key.").response()
        response = JSONResponse({"tenant": "north" if self.key else "default"})
        if self.key:
            response.set_cookie("hospital_session", self.key, httponly=True, samesite="strict")
        return response

    def _jobs(self, request: Request) -> Response:
        status, q = request.query_params.get("status"), request.query_params.get("q", "")
        attention, outcome = "needs_attention" in request.query_params, request.query_params.get("outcome")
        found = [
            each
            for each in self.listed
            if status in (None, each["status"])
            and outcome in (None, each["outcome"])
            and q.lower() in each["file_name"].lower()
            and not (attention and (each["activated"] or each["outcome"] is None))
        ]
        shown, following = _page(found, request)
        return JSONResponse({"total_jobs": len(found), "jobs": shown, "next_cursor": following})

    def _history(self, request: Request) -> Response:
        begin = int(request.query_params.get("cursor", 0))
        following = str(begin + 2) if begin + 2 < len(self.entries) else None
        return JSONResponse({"rounds": [], "entries": self.entries[begin : begin + 2], "next_cursor": following})

    def _rows(self, request: Request) -> Response:
        assert request.query_params["outcome"] == "failed"
        shown, following = _page(self.failed, request)
        return JSONResponse({"rows": shown, "next_cursor": following})

    def _events(self, _: Request) -> Response:
        if self.events is None:
            return Problem(404, "not_found", "Not Found").response()
        return StreamingResponse(self._event_stream(self.events), media_type="text/event-stream")

    async def _event_stream(self, events: list[dict[str, Any]]) -> AsyncIterator[str]:
        """Sends until the test replaces the list; then the connection breaks off."""
        sent = 0
        yield "retry: 50\n\n"
        while self.events is events:
            for job in events[sent:]:
                sent += 1
                event = "progress" if job["completed_at"] is None else "finished"
                yield f"id: {sent}\nevent: {event}\ndata: {json.dumps(_summary(job))}\n\n"
            await asyncio.sleep(0.02)


def _summary(job: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in job.items() if name not in ("batch_ids", "result")}


def command_accepted() -> JSONResponse:
    """The answer to a command that was accepted."""
    return JSONResponse({"job_id": JOB_ID, "message": "Accepted"}, 202)


def _page(found: list[Any], request: Request) -> tuple[list[Any], str | None]:
    begin = int(request.query_params.get("cursor", 0))
    end = begin + int(request.query_params["limit"])
    return found[begin:end], str(end) if end < len(found) else None


@dataclass
class SwappableApi:
    """One server for all tests: each test puts its own API behind it. Until then it serves the page only."""

    url: str
    app: Any = field(default_factory=CachedPageFiles)

    def use(self, api: FakeApi) -> FakeApi:
        """Puts this API behind the server."""
        self.app = api.app()
        api.url = self.url
        return api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@contextmanager
def running_server() -> Iterator[SwappableApi]:
    """The server on a free port, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    swappable = SwappableApi(f"http://127.0.0.1:{listening.getsockname()[1]}")
    server = uvicorn.Server(uvicorn.Config(swappable, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    try:
        yield swappable
    finally:
        server.should_exit = True
        thread.join()
