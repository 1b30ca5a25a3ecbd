"""A fake of the HTTP API: it answers what a test has set, and keeps the requests."""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

ROOT = "/api/v1/hospitals"
JOB_ID = "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11"
#: An answer that closes the connection instead.
DROPPED = object()


def job(**changes: Any) -> dict[str, Any]:
    """A job of 40 rows, running unless `changes` say otherwise."""
    running = {
        "job_id": JOB_ID,
        "file_name": "hospitals.csv",
        "status": "processing",
        "outcome": None,
        "message": "Processing 10 of 40 hospitals",
        "total_hospitals": 40,
        "processed_hospitals": 10,
        "created_hospitals": 10,
        "failed_hospitals": 0,
        "unprocessed_hospitals": 0,
        "activated": False,
        "created_at": "2026-03-01T09:30:00Z",
        "processing_time_seconds": None,
        "eta_seconds": 30.0,
        "waiting_for": None,
        "error": None,
        "batch_ids": ["batch-1"],
    }
    return running | changes


def ended(outcome: str = "all_created", *, activated: bool = True, failed: int = 0, **changes: Any) -> dict[str, Any]:
    """The same job at its end."""
    status = {"none_created": "failed", "cancelled": "cancelled"}.get(outcome, "completed")
    counts = {"processed_hospitals": 40, "created_hospitals": 40 - failed, "failed_hospitals": failed}
    state = {"status": status, "outcome": outcome, "message": "Over", "eta_seconds": None, "activated": activated}
    return job(**state, **counts) | changes


def checked(**changes: Any) -> dict[str, Any]:
    """What `validate` says of a file without errors."""
    good = {"valid": True, "total_hospitals": 40, "errors": [], "estimated_seconds": 4.0, "same_file_as": []}
    return good | changes


def read(**changes: Any) -> dict[str, Any]:
    """What `validate` of today's service says besides: how it has read the file."""
    fields = {
        "errors_total": 0,
        "warnings": [],
        "warnings_total": 0,
        "mapping": {"name": ["name"], "address": ["address"], "phone": ["phone"], "unused": []},
        "encoding": "utf-8",
        "encoding_guesses": [],
        "delimiter": ",",
        "header_row": 1,
        "sheet": None,
        "sheets": [],
        "sample": [{"row": 2, "name": "Good Hope", "address": "1 Hope Street", "phone": "+1 555 0101"}],
    }
    return checked(**fields) | changes


def problem(status: int, error_type: str, detail: str, **more: Any) -> "Answer":
    """An answer that is an error. `retry_after`: the header; the rest goes into the document."""
    headers = {"Content-Type": "application/problem+json"}
    if "retry_after" in more:
        headers["Retry-After"] = str(more.pop("retry_after"))
    return Answer(status, json.dumps({"status": status, "error_type": error_type, "detail": detail, **more}), headers)


@dataclass(frozen=True)
class Answer:
    """A status, a body and its headers. `broken`: fewer bytes than announced, then the connection closes."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    broken: bool = False


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that was received."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeService:
    """Gives its answers in order and repeats the last one; a path without an answer is 404."""

    url: str = ""
    answers: dict[tuple[str, str], deque[Any]] = field(default_factory=dict)
    requests: list[ReceivedRequest] = field(default_factory=list)

    def respond(self, method: str, path: str, *answers: Any) -> None:
        """Sets the answers to a call under /api/v1/hospitals. A dict is sent as JSON; a function gets the request."""
        self.answers[method, ROOT + path] = deque(answers)

    def calls(self, method: str, path: str) -> list[ReceivedRequest]:
        """The requests to this path so far."""
        return [each for each in self.requests if (each.method, each.path) == (method, ROOT + path)]

    def answer(self, request: ReceivedRequest) -> Any:
        """Keeps the request and returns the next answer to it."""
        self.requests.append(request)
        answers = self.answers.get((request.method, request.path))
        if answers is None:
            return problem(404, "not_found", "Not Found")
        given = answers.popleft() if len(answers) > 1 else answers[0]
        if callable(given):
            given = given(request)
        if isinstance(given, dict):
            return Answer(202 if request.path.endswith("/bulk") else 200, json.dumps(given))
        return given

    def accept_uploads(self, **changes: Any) -> None:
        """Answers that every file is valid, and accepts uploads."""
        self.respond("POST", "/validate", checked())
        self.respond("POST", "/bulk", {"job_id": JOB_ID, "status": "pending", "total_hospitals": 40} | changes)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: FakeService

    def _handle(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.service.answer(ReceivedRequest(self.command, url.path, url.query, headers, body))
        self.close_connection = answer is DROPPED or answer.broken
        if answer is DROPPED:
            return
        content = answer.body.encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) + 10 * answer.broken))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = _handle  # noqa: N815 - http.server's own names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
        """Logs nothing."""


@contextmanager
def running_service() -> Iterator[FakeService]:
    """A fake service on a free port."""
    service = FakeService()
    handler = type("Handler", (_Handler,), {"service": service})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield service
        server.shutdown()
