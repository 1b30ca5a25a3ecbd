"""How a call can fail, and what happens next.

ClientError              one line for a person, and the exit status
├── Refused              final: the request has to be changed
├── UnexpectedResponse   final: something else answers at this address
├── NotConfirmed         final: nothing was sent, since nobody confirmed what is in doubt about the file
├── FileChanged          final: nothing was sent, since the file is not any more what was checked
├── OldService           final: the service does not know an option of the command
├── FileExists           final: the file to write is there, and nobody gave it up
├── NotAReceipt          final: the file is not the receipt of a job
└── TryAgain             the same request may succeed later
    ├── NeverSent        there was no connection: the request had no effect
    ├── Busy             the service answered that it cannot now
    └── NoAnswer         it may have had an effect: only idempotent requests are repeated
"""

from typing import Any, Self

from client.exit_status import ExitStatus
from client.schemas import Problem, ValidationReport


class ClientError(Exception):
    """Why a call failed. Its text is one line for a person."""

    exit_status = ExitStatus.REFUSED

    def document(self) -> dict[str, Any]:
        """The error as `--json` prints it."""
        return {"detail": str(self), "error_type": "not_understood"}


class Refused(ClientError):
    """The service refused the request for good. The text is the problem's `detail`."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.detail or f"The service refused this (HTTP status {status}).")
        self.status = status
        self.problem = problem

    def document(self) -> dict[str, Any]:
        """The problem document as it came."""
        return {"status": self.status, **self.problem.raw(), "detail": str(self)}


class UnexpectedResponse(ClientError):
    """The response is not one of this API: probably another service answers at the address."""

    exit_status = ExitStatus.NOT_REACHED


class NotAReceipt(ClientError):
    """The file is not the receipt of a job."""

    exit_status = ExitStatus.USAGE


class NotConfirmed(ClientError):
    """Nothing was sent: something about the file is in doubt, and nobody confirmed it."""

    exit_status = ExitStatus.NOT_SENT

    def __init__(self, reason: str, report: ValidationReport) -> None:
        super().__init__(reason)
        self.report = report

    def document(self) -> dict[str, Any]:
        """The error as `--json` prints it, with what the check of the file said."""
        error_type = "accepted_before" if self.report.same_file_as else "not_confirmed"
        return {**self.report.raw(), "detail": str(self), "error_type": error_type}


class FileChanged(ClientError):
    """Nothing was sent: the file is not any more what was checked and confirmed."""

    exit_status = ExitStatus.NOT_SENT

    def document(self) -> dict[str, Any]:
        """The error as `--json` prints it."""
        return {"detail": str(self), "error_type": "file_changed"}


class OldService(ClientError):
    """The service would ignore an option that changes what the file becomes."""

    def document(self) -> dict[str, Any]:
        """The error as `--json` prints it."""
        return {"detail": str(self), "error_type": "old_service"}


class FileExists(ClientError):
    """The file to write is there already, and nobody said that it may be replaced."""

    exit_status = ExitStatus.USAGE

    def document(self) -> dict[str, Any]:
        """The error as `--json` prints it."""
        return {"detail": str(self), "error_type": "file_exists"}


class TryAgain(ClientError):
    """The same request may succeed later. `retry_after`: from the service's header, in seconds."""

    exit_status = ExitStatus.NOT_REACHED

    def __init__(self, reason: str, retry_after: float | None = None, error_type: str = "not_reached") -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.error_type = error_type
        self.advice = ""
        #: Whether this try, or an earlier one of the same call, may have had an effect.
        self.may_have_happened = True

    def with_advice(self, advice: str) -> Self:
        """Adds what the person can do about it; it is printed on lines of its own."""
        self.advice = advice
        return self

    def document(self) -> dict[str, Any]:
        """The error as `--json` prints it."""
        return {"detail": str(self), "error_type": self.error_type}


class NeverSent(TryAgain):
    """No connection was made: not one byte reached the service."""


class Busy(TryAgain):
    """The service answered that it cannot now: there was no effect, or the Idempotency-Key makes repeating safe."""


class NoAnswer(TryAgain):
    """The request may have reached the service, but no answer came: its effect is unknown."""
