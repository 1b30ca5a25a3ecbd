"""Where the next page begins, as an opaque text that clients send back."""

import base64
import binascii
import json
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from shared.runtime.http.problems import Problem

T = TypeVar("T")

_JOB: TypeAdapter[tuple[int, str]] = TypeAdapter(tuple[int, str])
#: As large as their columns are.
_ROW: TypeAdapter[tuple[int]] = TypeAdapter(tuple[Annotated[int, Field(ge=0, lt=2**31)]])
_OFFSET: TypeAdapter[tuple[int]] = TypeAdapter(tuple[Annotated[int, Field(ge=0, lt=2**63)]])


def cursor(*position: int | str) -> str:
    """The text for a position."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def after_job(text: str | None) -> tuple[int, str] | None:
    """created_at and job_id of the last job seen; None at the beginning. Raises a 400 problem for any other text."""
    return None if text is None else _position(_JOB, text)


def after_row(text: str | None) -> int:
    """The last row seen; 0 at the beginning. Raises a 400 problem for any other text."""
    return 0 if text is None else _position(_ROW, text)[0]


def from_offset(text: str | None) -> int:
    """The first offset to be seen; 0 at the beginning. Raises a 400 problem for any other text."""
    return 0 if text is None else _position(_OFFSET, text)[0]


def _position(kind: TypeAdapter[T], text: str) -> T:
    try:
        return kind.validate_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValidationError, binascii.Error, ValueError) as error:
        raise Problem(400, "invalid_cursor", "This cursor is none of ours: leave it out to begin again.") from error
