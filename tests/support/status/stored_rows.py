"""Rows as the tables hold them, for tests of what is written from them."""

import json
from collections import namedtuple

Stored = namedtuple("Stored", "row status batch_id hospital_id attempts error_code error columns")


def stored(cells: list[str] | dict[str, str], **more: object) -> Stored:
    """A row: its cells, or in rows of version 0.1.0 an object of them by name."""
    values = {
        "row": 2,
        "status": "failed",
        "batch_id": "b-1",
        "hospital_id": None,
        "attempts": 3,
        "error_code": "rejected",
        "error": "The directory refused it",
    }
    return Stored(**(values | more), columns=json.dumps(cells, ensure_ascii=False))
