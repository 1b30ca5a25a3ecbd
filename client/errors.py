"""How a call can fail, and what happens next.

Setback              one line for a person, and the exit status
├── Refused          final: what was asked has to be changed
├── NotUnderstood    final: something else answers at this address
├── AcceptedBefore   final: nothing was sent, since nobody said that the same file is meant again
└── TryAgain         the same may succeed later
    ├── NeverSent    there was no connection: nothing has happened
    ├── Busy         it answered that it cannot now
    └── NoAnswer     it may have happened: only what is harmless to repeat is repeated
"""

from collections.abc import Sequence
from typing import Any, Self

from client.exit_status import ExitStatus
from client.schemas import Problem, SameFile


class Setback(Exception):
    """A command ends, or waits. Its text is one line for a person."""

    exit_status = ExitStatus.REFUSED

    def document(self) -> dict[str, Any]:
        """The same for `--json`."""
        return {"detail": str(self), "error_type": "not_understood"}


class Refused(Setback):
    """The service's last word, in its own words."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.detail or f"The service refused this (HTTP status {status}).")
        self.status = status
        self.problem = problem

    def document(self) -> dict[str, Any]:
        """The problem document as it came."""
        return {"status": self.status, **self.problem.raw(), "detail": str(self)}


class NotUnderstood(Setback):
    """Probably not the service that we took it for."""

    exit_status = ExitStatus.NOT_REACHED


class AcceptedBefore(Setback):
    """Nothing was sent: the same file is a job already."""

    exit_status = ExitStatus.NOT_SENT

    def __init__(self, reason: str, jobs: Sequence[SameFile]) -> None:
        super().__init__(reason)
        self.jobs = jobs

    def document(self) -> dict[str, Any]:
        """With the jobs that the file is."""
        same_file_as = [job.raw() for job in self.jobs]
        return {"detail": str(self), "error_type": "accepted_before", "same_file_as": same_file_as}


class TryAgain(Setback):
    """`retry_after`: the service's own wish, in seconds."""

    exit_status = ExitStatus.NOT_REACHED

    def __init__(self, reason: str, retry_after: float | None = None, error_type: str = "not_reached") -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.error_type = error_type
        self.advice = ""
        #: Whether this try, or one before it, may have had an effect.
        self.doubtful = True

    def advising(self, advice: str) -> Self:
        """With what to do about it, on lines of their own."""
        self.advice = advice
        return self

    def document(self) -> dict[str, Any]:
        """The same for `--json`."""
        return {"detail": str(self), "error_type": self.error_type}


class NeverSent(TryAgain):
    """Not one byte has reached the service."""


class Busy(TryAgain):
    """Nothing has happened, or the same key makes repeating harmless."""


class NoAnswer(TryAgain):
    """Nobody knows whether it has happened."""
