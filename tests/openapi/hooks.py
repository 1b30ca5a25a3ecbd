"""Loaded by schemathesis (SCHEMATHESIS_HOOKS): files that are CSV, and ids of jobs that are there."""

import os
from typing import Any

import schemathesis
from hypothesis import strategies as st

_NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), max_size=20)
_ROWS = st.lists(st.tuples(_NAMES, _NAMES), max_size=5)


def _csv(rows: list[tuple[str, str]]) -> bytes:
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in (("name", "address"), *rows)]
    return "\r\n".join(lines).encode()


schemathesis.openapi.media_type("text/csv", st.one_of(_ROWS.map(_csv), st.binary(max_size=200)))


@schemathesis.hook
def map_path_parameters(_: schemathesis.HookContext, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Most ids that are generated name nothing: every other one is that of a real job, batch and row."""
    for name, value in (parameters or {}).items():
        known = os.environ.get(f"KNOWN_{name.upper()}")
        if known and len(str(value)) % 2:
            parameters[name] = known
    return parameters
