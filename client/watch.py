"""Follows a job to its end: by its event stream, or by asking where there is none; across broken connections."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from client.api import Api
from client.errors import NotUnderstood, Refused, TryAgain
from client.schemas import Job

_MOVING: Final = 1.0
_STILL: Final = 3.0
_NEXT_ROUND_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection to the news broke; it is tried again in so many seconds."""

    setback: TryAgain
    pause: float


News = Job | Lost


def wait_for_next_round(api: Api, before: Job) -> None:
    """After a retry was accepted: returns when the job runs again, or has ended anew, or nothing has come of it."""
    since = api.patience.clock()
    while (job := api.job(before.job_id)).ended and job.completed_at == before.completed_at:
        if api.patience.clock() - since > _NEXT_ROUND_SECONDS:
            return
        api.patience.sleep(_MOVING)


class Watching:
    """One job, followed once."""

    def __init__(self, api: Api, job_id: str) -> None:
        self._api = api
        self._patience = api.patience
        self._job_id = job_id
        self._last_id = ""
        self._streamed = True

    def news(self) -> Iterator[News]:
        """How the job is, each time there is something new, until it has ended.

        Raises Refused when there is no such job, TryAgain when the service is away for longer than we try.
        """
        yield (job := self._api.job(self._job_id))
        failures, failing_since = 0, 0.0
        while not job.ended:
            try:
                for job in self._streaming() if self._streamed else self._polling():
                    failures = 0
                    yield job
            except TryAgain as setback:
                failing_since = failing_since if failures else self._patience.clock()
                pause = self._patience.pause_after(setback, failures)
                failures += 1
                if not self._patience.lasts(setback, failing_since, pause):
                    raise
                yield Lost(setback, pause)
                self._patience.sleep(pause)

    def _streaming(self) -> Iterator[Job]:
        """Ends when the stream does. What an event does not tell in full is asked for."""
        try:
            with self._api.events(self._job_id, self._last_id) as events:
                for event_id, data in events:
                    self._last_id = event_id
                    job = self._told(data)
                    # In full, and as whoever asks next will see it: another copy of the service may be behind.
                    yield (job := self._api.job(self._job_id) if job.ended else job)
                    if job.ended:
                        return
            # Servers end streams, too: of slow readers, and when they stop. One that never told anything is none.
            self._streamed = bool(self._last_id)
            self._patience.sleep(_MOVING)
        except (NotUnderstood, Refused):
            self._streamed = False

    def _told(self, data: str) -> Job:
        try:
            return Job.model_validate_json(data)
        except ValidationError:
            return self._api.job(self._job_id)

    def _polling(self) -> Iterator[Job]:
        before = -1
        while True:
            job = self._api.job_once(self._job_id)
            yield job
            if job.ended:
                return
            self._patience.sleep(_MOVING if job.processed_hospitals != before else _STILL)
            before = job.processed_hospitals
