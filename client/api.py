"""The calls of the HTTP API, one method each. Every one raises a ClientError (errors.py)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
from httpx_sse import EventSource

from client.errors import UnexpectedResponse
from client.responses import error_from, parse, translate_transport_errors
from client.retry import OnRetry, RetryPolicy, ignore_retry
from client.schemas import (
    AcceptedUpload,
    Activation,
    CommandResponse,
    Document,
    Job,
    JobHistory,
    JobPage,
    Receipt,
    ValidationReport,
)
from client.upload_file import UploadFile

D = TypeVar("D", bound=Document)
Event = tuple[str, str]

_ROOT: Final = "/api/v1/hospitals"
_USUAL: Final = httpx.Timeout(30.0, connect=5.0)
#: A million rows are checked and published before the answer comes; proxies wait so long too.
_UPLOAD: Final = httpx.Timeout(310.0, connect=5.0)
#: The stream sends a comment every 15 s: after three missing ones the connection counts as lost.
_EVENTS: Final = httpx.Timeout(50.0, connect=5.0)
#: Activation answers after 20 s at the latest.
_ACTIVATION: Final = httpx.Timeout(60.0, connect=5.0)


def open_client(url: str, api_key: str | None, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """An HTTP client of the installation at `url`. `transport`: in place of the network."""
    headers = {"User-Agent": "hospital-bulk", "Accept": "application/json"}
    if api_key:
        headers["X-API-Key"] = api_key
    return httpx.Client(base_url=url, headers=headers, timeout=_USUAL, transport=transport)


@dataclass(frozen=True, slots=True)
class ResultDownload:
    """A result file. `complete`: the job cannot change it any more. `unknown`: rows that may exist already."""

    chunks: Iterator[bytes]
    complete: bool
    unknown: int


class Api:
    """An installation's API. `on_retry` is called before each pause between tries."""

    def __init__(self, client: httpx.Client, retry_policy: RetryPolicy, on_retry: OnRetry = ignore_retry) -> None:
        self._client = client
        self.retry_policy = retry_policy
        self.on_retry = on_retry

    def validate(self, file: UploadFile, parameters: Mapping[str, str]) -> ValidationReport:
        """Checks the file; nothing is stored. `parameters`: how it is to be read."""
        return self._send_file("/validate", file, {}, parameters, ValidationReport)

    def upload(self, file: UploadFile, key: str, parameters: Mapping[str, str]) -> AcceptedUpload:
        """Makes the file a job. It is sent again with the same key until it is answered, and stays one job."""
        return self._send_file("/bulk", file, {"Idempotency-Key": key}, parameters, AcceptedUpload)

    def problem_list(self, file: UploadFile, parameters: Mapping[str, str], target: Path) -> bool:
        """Writes all errors and warnings of a file to `target`, as CSV. False: an older service has no such list."""
        given: dict[str, Any] = {"params": parameters, "headers": {"Accept": "text/csv"}, "timeout": _UPLOAD}

        def fetch() -> bool:
            with (
                translate_transport_errors(),
                file.open() as part,
                self._client.stream("POST", f"{_ROOT}/validate", files={"file": part}, **given) as answer,
            ):
                if not answer.is_success:
                    answer.read()
                    raise error_from(answer)
                if not answer.headers.get("content-type", "").startswith("text/csv"):
                    return False
                with target.open("wb") as whole:
                    whole.writelines(answer.iter_bytes())
                return True

        return self.retry_policy.call_idempotent(fetch, self.on_retry)

    def job(self, job_id: str) -> Job:
        """The job as it is now."""
        return self._read(f"/status/{_id(job_id)}", {}, Job)

    def job_once(self, job_id: str) -> Job:
        """The job as it is now, without a second try: for callers that repeat by themselves."""
        return self._call("GET", f"/status/{_id(job_id)}", Job)

    def jobs(self, wanted: Mapping[str, str | None], limit: int, cursor: str | None) -> JobPage:
        """A page of the list, newest first. `wanted`: the filters by their names; those that are None are left out."""
        given = {**wanted, "limit": str(limit), "cursor": cursor}
        return self._read("/jobs", {name: value for name, value in given.items() if value is not None}, JobPage)

    def history(self, job_id: str, cursor: str | None) -> JobHistory:
        """A page of what has happened to a job."""
        return self._read(f"/jobs/{_id(job_id)}/history", {"cursor": cursor} if cursor else {}, JobHistory)

    def cancel(self, job_id: str) -> CommandResponse:
        """Cancels a job: rows that were not sent yet are not sent."""
        return self._command(f"/jobs/{_id(job_id)}/cancel")

    def retry(self, job_id: str, codes: Sequence[str] = ()) -> CommandResponse:
        """Runs the failed and unprocessed rows of a job again: of these error codes, or all where none is given."""
        return self._command(f"/jobs/{_id(job_id)}/retry", {"codes": list(codes)} if codes else None)

    def resolve(self, job_id: str, row: int, finding: dict[str, Any]) -> CommandResponse:
        """Settles a row whose outcome is unknown. `finding`: `{"absent": true}` or `{"hospital_id": …}`."""
        return self._command(f"/jobs/{_id(job_id)}/rows/{row}/resolve", finding)

    def activate(self, batch_id: str) -> Activation:
        """Activates a batch by hand."""
        path = f"/bulk/batch/{_id(batch_id)}/activate"
        return self.retry_policy.call_once(
            lambda: self._call("PATCH", path, Activation, timeout=_ACTIVATION), self.on_retry
        )

    @contextmanager
    def events(self, job_id: str, last_id: str) -> Iterator[Iterator[Event]]:
        """The id and data of each event of a job after `last_id`. Raises UnexpectedResponse when there is no stream."""
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
        path = f"{_ROOT}/jobs/{_id(job_id)}/events"
        with translate_transport_errors(), self._client.stream("GET", path, headers=headers, timeout=_EVENTS) as answer:
            if not answer.is_success:
                answer.read()
                raise error_from(answer)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise UnexpectedResponse("There are no events here.")
            yield ((event.id, event.data) for event in EventSource(answer).iter_sse())

    @contextmanager
    def result_file(self, job_id: str, name: str) -> Iterator[ResultDownload]:
        """Opens a result file. `name`: successful, failed, unprocessed or all, with `.csv` or `.xlsx`."""
        path = f"{_ROOT}/jobs/{_id(job_id)}/{name}"
        with translate_transport_errors(), self._client.stream("GET", path, headers={"Accept": "*/*"}) as answer:
            if not answer.is_success:
                answer.read()
                raise error_from(answer)
            unknown = answer.headers.get("x-result-unknown", "0")  # an older service does not tell
            complete = answer.headers.get("x-result-complete") != "false"
            yield ResultDownload(answer.iter_bytes(), complete, int(unknown) if unknown.isdecimal() else 0)

    def receipt(self, job_id: str) -> Receipt:
        """What a finished job finished with."""
        return self._read(f"/jobs/{_id(job_id)}/receipt", {}, Receipt)

    def _send_file(
        self, path: str, file: UploadFile, headers: dict[str, str], parameters: Mapping[str, str], kind: type[D]
    ) -> D:
        def send() -> D:
            with file.open() as part:
                given = {"files": {"file": part}, "headers": headers, "params": parameters, "timeout": _UPLOAD}
                return self._call("POST", path, kind, **given)

        return self.retry_policy.call_idempotent(send, self.on_retry)

    def _read(self, path: str, parameters: dict[str, str], kind: type[D]) -> D:
        return self.retry_policy.call_idempotent(
            lambda: self._call("GET", path, kind, params=parameters), self.on_retry
        )

    def _command(self, path: str, body: dict[str, Any] | None = None) -> CommandResponse:
        return self.retry_policy.call_once(lambda: self._call("POST", path, CommandResponse, json=body), self.on_retry)

    def _call(self, method: str, path: str, kind: type[D], **given: Any) -> D:
        with translate_transport_errors():
            answer = self._client.request(method, _ROOT + path, **given)
        return parse(answer, kind)


def _id(text: str) -> str:
    return quote(text, safe="")
