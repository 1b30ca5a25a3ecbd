"""What it means that a look-up does not show a row, and what its message says when nobody can tell."""

from collections.abc import Set as AbstractSet
from enum import Enum

from services.processor.lane.row import Row

#: How many of the missing hospitals' ids a message names.
SHOWN_IDS = 5


class Absence(Enum):
    """What it means that a look-up does not show a row; where it proves nothing, why."""

    PROVEN = "the hospital is not there"
    LATER = "does not show hospitals yet that it did create: ask again"
    LOST = "does not show hospitals of the batch any more that it did create ({missing})"
    PAGED = "lists only a part of the batch"
    REWRITTEN = "writes hospitals in its own way"


def shown_ids(ids: AbstractSet[str]) -> str:
    """The first of the ids, for a message."""
    return ", ".join(sorted(ids)[:SHOWN_IDS]) + (", ..." if len(ids) > SHOWN_IDS else "")


def unknown_outcome_message(row: Row, absence: Absence, missing: AbstractSet[str]) -> str:
    """Why the row's outcome is unknown, and what a clerk has to do. `missing`: ids that the directory did not show."""
    reason = absence.value.format(missing=shown_ids(missing))
    error = row.attempts.last_error
    cause = f" ({error.message})" if error else ""
    event = row.event
    return (
        f"The hospital may have been created{cause}, and the directory {reason}, so nobody can tell from here. "
        f"Look in the hospital directory for {event.name!r}, {event.address!r} in batch {event.batch_id}. "
        "If it is there, resolve the row with its id; if not, resolve it as absent and retry."
    )
