"""Watches a job until it has ended: by its event stream, or by polling where there is none.

Broken connections are tried again for as long as the RetryPolicy allows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from client.api import Api
from client.errors import Refused, TryAgain, UnexpectedResponse
from client.schemas import Job

_POLL_SECONDS: Final = 1.0
#: While the number of finished rows stays the same.
_IDLE_POLL_SECONDS: Final = 3.0
_NEXT_ROUND_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The connection broke; the next try follows after `pause` seconds."""

    error: TryAgain
    pause: float


Update = Job | ConnectionLost


def wait_for_next_round(api: Api, before: Job) -> None:
    """Waits after an accepted retry until the job runs again or has a new end, for 60 s at most.

    `before`: the job as it was when the retry was asked for.
    """
    since = api.retry_policy.clock()
    while (job := api.job(before.job_id)).ended and job.completed_at == before.completed_at:
        if api.retry_policy.clock() - since > _NEXT_ROUND_SECONDS:
            return
        api.retry_policy.sleep(_POLL_SECONDS)


class JobWatch:
    """The updates of one job. Use each object once."""

    def __init__(self, api: Api, job_id: str) -> None:
        self._api = api
        self._retry_policy = api.retry_policy
        self._job_id = job_id
        self._last_event_id = ""
        self._has_stream = True

    def updates(self) -> Iterator[Update]:
        """The job as it is now, then each change of it, and last the job at its end.

        Raises Refused when there is no such job, TryAgain when the service is away for longer than the policy allows.
        """
        yield (job := self._api.job(self._job_id))
        failures, failing_since = 0, 0.0
        while not job.ended:
            try:
                for job in self._stream() if self._has_stream else self._poll():
                    failures = 0
                    yield job
            except TryAgain as error:
                failing_since = failing_since if failures else self._retry_policy.clock()
                pause = self._retry_policy.pause_seconds(error, failures)
                failures += 1
                if not self._retry_policy.may_retry(error, failing_since, pause):
                    raise
                yield ConnectionLost(error, pause)
                self._retry_policy.sleep(pause)

    def _stream(self) -> Iterator[Job]:
        """The job of each event, until the stream ends."""
        try:
            with self._api.events(self._job_id, self._last_event_id) as events:
                for event_id, data in events:
                    self._last_event_id = event_id
                    job = self._job_in(data)
                    # The end is read once more: the event may lack fields, and another replica may be behind.
                    yield (job := self._api.job(self._job_id) if job.ended else job)
                    if job.ended:
                        return
            # Servers also end streams of slow readers, and all of them when they stop.
            # A stream that ended without a single event counts as none: poll from now on.
            self._has_stream = bool(self._last_event_id)
            self._retry_policy.sleep(_POLL_SECONDS)
        except (UnexpectedResponse, Refused):
            self._has_stream = False

    def _job_in(self, data: str) -> Job:
        """The job in an event; it is asked for when the event does not hold it."""
        try:
            return Job.model_validate_json(data)
        except ValidationError:
            return self._api.job(self._job_id)

    def _poll(self) -> Iterator[Job]:
        before = -1
        while True:
            job = self._api.job_once(self._job_id)
            yield job
            if job.ended:
                return
            self._retry_policy.sleep(_POLL_SECONDS if job.processed_hospitals != before else _IDLE_POLL_SECONDS)
            before = job.processed_hospitals
