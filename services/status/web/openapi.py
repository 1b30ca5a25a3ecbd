"""What the routes have in common in the API's documentation: parameters, and the errors that they may answer."""

from typing import Annotated, Final

from fastapi import Path

from shared.runtime.http.openapi import EVERYWHERE as COMMON
from shared.runtime.http.openapi import Documented, problem
from shared.runtime.http.problems import KAFKA_DOWN

DESCRIPTION: Final = """What became of each upload and each row.

- Jobs: how they are, their rows and batches, and their progress as it happens.
- Commands: cancel, retry, resolve a row, activate a batch. After a 202 every later answer knows of the command.
- Result files: the rows as they were uploaded, with what became of each.

HEAD is answered wherever GET is. Errors are problem documents (RFC 9457)."""
TAGS: Final = [
    {"name": "jobs", "description": "How jobs and their rows are."},
    {"name": "commands", "description": "What a person can do about a job."},
    {"name": "result files", "description": "The rows of a job as CSV."},
    {"name": "session", "description": "The key in a cookie, for browsers."},
]
JobId = Annotated[
    str, Path(description="From the answer to the upload.", examples=["6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11"])
]


def problems(**reasons: str) -> Documented:
    """For `responses=` of a route: `_404="No such job."` documents the error's body and when it is answered."""
    return {
        status: answer
        for code, reason in reasons.items()
        for status, answer in problem(int(code.removeprefix("_")), reason).items()
    }


#: What routes that read a body can answer besides.
TAKES_BODY: Final = problems(_408="The body comes too slowly, or not at all.", _413="The body is too large.")
EVERYWHERE: Final = COMMON | problem(
    503,
    "Kafka or the database is down, or the newest events are unread. Try again.",
    message_queue_unavailable=KAFKA_DOWN,
    not_known_yet="The newest events are still being read: try again.",
)
