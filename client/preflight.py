"""The check of a file before its upload: it must have no errors, and a repeated file must be confirmed."""

from collections.abc import Callable
from typing import Final

from client.errors import AcceptedBefore, Refused
from client.output.words import hospitals, moment
from client.schemas import Problem, ValidationReport

_BAD_REQUEST: Final = 400

#: Asks a person a question: yes or no; None when there is nobody to ask.
Ask = Callable[[str], bool | None]


def check(verdict: ValidationReport, name: str, ask: Ask) -> None:
    """Raises Refused when the file has errors, AcceptedBefore when nobody confirms a file that is a job already."""
    if not verdict.valid:
        raise invalid_file(verdict)
    if not verdict.same_file_as:
        return
    before = verdict.same_file_as[0]
    known = f"{name} was accepted before, as job {before.job_id} on {moment(before.created_at)}."
    again = f"Its {hospitals(verdict.total_hospitals)} would be created a second time."
    answer = ask(f"{known} {again} Send it all the same?")
    if not answer:
        advice = f" {again} Say --yes if that is meant." if answer is None else ""
        raise AcceptedBefore(f"Not sent: {known}{advice}", verdict.same_file_as)


def invalid_file(verdict: ValidationReport) -> Refused:
    """The error that an upload of this file would raise."""
    count = "1 error" if len(verdict.errors) == 1 else f"{len(verdict.errors):,} errors"
    problem = Problem(
        detail=f"The file has {count}; nothing was sent.", error_type="invalid_file", errors=verdict.errors
    )
    return Refused(_BAD_REQUEST, problem)
