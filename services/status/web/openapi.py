"""What the routes have in common in the API's documentation: parameters, and the errors that they may answer."""

from typing import Annotated, Any, Final

from fastapi import Path

from shared.runtime.http.problems import ProblemDocument

JobId = Annotated[str, Path(description="From the answer to the upload")]

Documented = dict[int | str, dict[str, Any]]


def problems(**reasons: str) -> Documented:
    """For `responses=` of a route: `_404="No such job"` documents the error's body and when it is answered."""
    shape = {"model": ProblemDocument, "content": {"application/problem+json": {}}}
    return {int(code.removeprefix("_")): shape | {"description": reason} for code, reason in reasons.items()}


EVERYWHERE: Final = problems(
    _401="API keys are in use, and this is none", _503="Kafka or the database is down, or the newest events are unread"
)
