"""What is asked about a file before it is sent: whether it is right, and whether it is meant once more."""

from collections.abc import Callable
from typing import Final

from client.errors import AcceptedBefore, Refused
from client.output.words import hospitals, moment
from client.schemas import Checked, Problem

_BAD_REQUEST: Final = 400

#: Answers yes or no; None when there is nobody to ask.
Ask = Callable[[str], bool | None]


def check(verdict: Checked, name: str, ask: Ask) -> None:
    """Raises Refused when the file has errors, AcceptedBefore when nobody says that it is meant."""
    if not verdict.valid:
        raise faulty(verdict)
    if not verdict.same_file_as:
        return
    before = verdict.same_file_as[0]
    known = f"{name} was accepted before, as job {before.job_id} on {moment(before.created_at)}."
    again = f"Its {hospitals(verdict.total_hospitals)} would be created a second time."
    answer = ask(f"{known} {again} Send it all the same?")
    if not answer:
        advice = f" {again} Say --yes if that is meant." if answer is None else ""
        raise AcceptedBefore(f"Not sent: {known}{advice}", verdict.same_file_as)


def faulty(verdict: Checked) -> Refused:
    """What the upload of a file with errors would answer."""
    count = "1 error" if len(verdict.errors) == 1 else f"{len(verdict.errors):,} errors"
    problem = Problem(
        detail=f"The file has {count}; nothing was sent.", error_type="invalid_file", errors=verdict.errors
    )
    return Refused(_BAD_REQUEST, problem)
