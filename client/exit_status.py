"""The exit statuses of all commands."""

from collections.abc import Iterable
from enum import IntEnum

from client.schemas import Job


class ExitStatus(IntEnum):
    """0 is complete success; each other value has one cause."""

    #: Done as asked; of a job that was watched: every hospital is created and activated.
    DONE = 0
    #: Some hospitals were created, some failed.
    SOME_FAILED = 1
    #: The command itself is wrong, or a file cannot be read or written.
    USAGE = 2
    #: The job ended, and no hospital was created.
    NONE_CREATED = 3
    #: The job was cancelled.
    CANCELLED = 4
    #: The service could not be reached, or was busy, until the time for retries was over.
    NOT_REACHED = 5
    #: The service refused: the file has errors, the job does not exist, the key is wrong.
    REFUSED = 6
    #: Nothing was sent: nobody confirmed a warning, or a file that was accepted before; or it has changed since.
    NOT_SENT = 7
    #: Every hospital is created, but not activated.
    NOT_ACTIVATED = 8
    #: A result file is not what its job finished with.
    DIFFERENT = 9
    #: Ctrl-C.
    INTERRUPTED = 130


_OUTCOMES = {
    "some_failed": ExitStatus.SOME_FAILED,
    "none_created": ExitStatus.NONE_CREATED,
    "cancelled": ExitStatus.CANCELLED,
}


def of_all(statuses: Iterable[ExitStatus]) -> ExitStatus:
    """The exit status for several files: that of the first that ended otherwise than well."""
    return next((status for status in statuses if status is not ExitStatus.DONE), ExitStatus.DONE)


def of_outcome(job: Job) -> ExitStatus:
    """The exit status for a job that has ended."""
    if job.outcome in ("all_created", "all_created_after_correction"):
        return ExitStatus.DONE if job.activated or not job.created_hospitals else ExitStatus.NOT_ACTIVATED
    return _OUTCOMES.get(job.outcome or "", ExitStatus.SOME_FAILED)
