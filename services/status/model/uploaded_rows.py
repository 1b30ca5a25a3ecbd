"""The hospital of a row as it was uploaded, in whichever form its event told the cells. Pure."""

from collections.abc import Sequence
from typing import Any

from shared.contract.events import FieldColumns
from shared.contract.hospital_columns import Hospital, cells_by_name, hospital_at, hospital_in


def uploaded_hospital(uploaded: Any, fields: FieldColumns | None, columns: Sequence[str]) -> Hospital | None:
    """None when name or address is empty.

    `uploaded`: the cells in the order of the job's `columns`, or as version 0.1.0 wrote them, each by its column's
    name; `fields`: which of them make the hospital, None: those that are called name, address and phone.
    """
    if isinstance(uploaded, dict):
        return hospital_in(uploaded)
    if fields is not None:
        return hospital_at(fields, uploaded)
    return hospital_in(cells_by_name(columns, uploaded))
