"""The calls of the HTTP API, one method each. Every one raises what setbacks.py names."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
from httpx_sse import EventSource

from client.errors import NotUnderstood
from client.responses import failures_named, setback, understood
from client.retry import Patience, Told, silence
from client.schemas import Accepted, Activation, Checked, Document, Done, Job, JobPage
from client.upload_file import SentFile

D = TypeVar("D", bound=Document)
Event = tuple[str, str]

_ROOT: Final = "/api/v1/hospitals"
_USUAL: Final = httpx.Timeout(30.0, connect=5.0)
#: A million rows are checked and published before the answer comes; proxies wait so long too.
_UPLOAD: Final = httpx.Timeout(310.0, connect=5.0)
#: Comments come every 15 s: three that are missing mean that nobody is there any more.
_EVENTS: Final = httpx.Timeout(50.0, connect=5.0)
#: Activation answers after 20 s at the latest.
_ACTIVATION: Final = httpx.Timeout(60.0, connect=5.0)


def open_client(url: str, api_key: str | None, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """A client of the installation at `url`."""
    headers = {"User-Agent": "hospital-bulk", "Accept": "application/json"}
    if api_key:
        headers["X-API-Key"] = api_key
    return httpx.Client(base_url=url, headers=headers, timeout=_USUAL, transport=transport)


@dataclass(frozen=True, slots=True)
class Coming:
    """A result file on its way: its bytes, whether the job can still change it, and how many rows may exist already."""

    chunks: Iterator[bytes]
    complete: bool
    unknown: int


class Api:
    """What an installation can be asked."""

    def __init__(self, client: httpx.Client, patience: Patience, told: Told = silence) -> None:
        self._client = client
        self.patience = patience
        self.told = told

    def validate(self, file: SentFile, allow_duplicates: bool) -> Checked:
        """Checks the file; nothing is stored."""
        return self._send_file("/validate", file, {}, allow_duplicates, Checked)

    def upload(self, file: SentFile, key: str, allow_duplicates: bool) -> Accepted:
        """Makes the file a job. Repeated with the same key until it is answered: it is one job all the same."""
        return self._send_file("/bulk", file, {"Idempotency-Key": key}, allow_duplicates, Accepted)

    def job(self, job_id: str) -> Job:
        """How a job is."""
        return self._read(f"/status/{_id(job_id)}", {}, Job)

    def job_once(self, job_id: str) -> Job:
        """The same, without a second try: whoever watches has a patience of its own."""
        return self._call("GET", f"/status/{_id(job_id)}", Job)

    def jobs(self, status: str | None, search: str | None, limit: int, cursor: str | None) -> JobPage:
        """A page of the list. `search`: in file names and job ids, in any case."""
        given = {"status": status, "q": search, "limit": str(limit), "cursor": cursor}
        return self._read("/jobs", {name: value for name, value in given.items() if value is not None}, JobPage)

    def cancel(self, job_id: str) -> Done:
        """Rows that were not sent yet are not to be sent."""
        return self._ask(f"/jobs/{_id(job_id)}/cancel")

    def retry(self, job_id: str) -> Done:
        """Failed and unprocessed rows are to run again."""
        return self._ask(f"/jobs/{_id(job_id)}/retry")

    def resolve(self, job_id: str, row: int, finding: dict[str, Any]) -> Done:
        """Settles a row whose outcome is unknown."""
        return self._ask(f"/jobs/{_id(job_id)}/rows/{row}/resolve", finding)

    def activate(self, batch_id: str) -> Activation:
        """Activates a batch by hand."""
        path = f"/bulk/batch/{_id(batch_id)}/activate"
        return self.patience.careful(lambda: self._call("PATCH", path, Activation, timeout=_ACTIVATION), self.told)

    @contextmanager
    def events(self, job_id: str, last_id: str) -> Iterator[Iterator[Event]]:
        """The id and data of each event of a job. Raises NotUnderstood when there is no such stream."""
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
        path = f"{_ROOT}/jobs/{_id(job_id)}/events"
        with failures_named(), self._client.stream("GET", path, headers=headers, timeout=_EVENTS) as answer:
            if not answer.is_success:
                answer.read()
                raise setback(answer)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise NotUnderstood("There are no events here.")
            yield ((event.id, event.data) for event in EventSource(answer).iter_sse())

    @contextmanager
    def result_file(self, job_id: str, kind: str) -> Iterator[Coming]:
        """successful.csv, failed.csv or unprocessed.csv."""
        path = f"{_ROOT}/jobs/{_id(job_id)}/{kind}.csv"
        with failures_named(), self._client.stream("GET", path, headers={"Accept": "text/csv"}) as answer:
            if not answer.is_success:
                answer.read()
                raise setback(answer)
            unknown = answer.headers.get("x-result-unknown", "0")  # an older service does not tell
            complete = answer.headers.get("x-result-complete") != "false"
            yield Coming(answer.iter_bytes(), complete, int(unknown) if unknown.isdecimal() else 0)

    def _send_file(
        self, path: str, file: SentFile, headers: dict[str, str], allow_duplicates: bool, kind: type[D]
    ) -> D:
        def send() -> D:
            with file.opened() as part:
                parameters = {"allow_duplicates": "true"} if allow_duplicates else {}
                sent = {"files": {"file": part}, "headers": headers, "params": parameters, "timeout": _UPLOAD}
                return self._call("POST", path, kind, **sent)

        return self.patience.harmless(send, self.told)

    def _read(self, path: str, parameters: dict[str, str], kind: type[D]) -> D:
        return self.patience.harmless(lambda: self._call("GET", path, kind, params=parameters), self.told)

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Done:
        return self.patience.careful(lambda: self._call("POST", path, Done, json=body), self.told)

    def _call(self, method: str, path: str, kind: type[D], **given: Any) -> D:
        with failures_named():
            answer = self._client.request(method, _ROOT + path, **given)
        return understood(answer, kind)


def _id(text: str) -> str:
    return quote(text, safe="")
