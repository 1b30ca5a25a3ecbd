"""The header Idempotency-Key: the client's name for one upload, under which it can be repeated safely."""

import re
from typing import Final

from shared.runtime.http.problems import Problem

MAX_CHARS: Final = 255
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]+")


def idempotency_key(values: list[str]) -> str:
    """The key in the header's values, unquoted: `abc` and `"abc"` are the same. Raises Problem 400."""
    if not values:
        raise Problem(
            400,
            "missing_idempotency_key",
            "Send a header Idempotency-Key of your choice, such as a UUID: with it an upload can be repeated safely.",
        )
    if len(values) > 1:
        raise _malformed("is given twice")
    key = _unquoted(values[0].strip())
    if not key.strip():
        raise _malformed("is empty")
    if len(key) > MAX_CHARS:
        raise _malformed(f"has {len(key)} characters, at most {MAX_CHARS} are allowed")
    if not _PRINTABLE.fullmatch(key):
        raise _malformed("may hold printable ASCII characters only")
    return key


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    if found := _QUOTED.fullmatch(value):
        return re.sub(r'\\(["\\])', r"\1", found.group(1))
    raise _malformed("begins with a quote that is not closed at its end")


def _malformed(why: str) -> Problem:
    return Problem(400, "malformed_idempotency_key", f"The header Idempotency-Key {why}.")
