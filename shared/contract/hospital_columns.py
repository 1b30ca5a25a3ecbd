"""Which of a row's columns make the hospital: the rule by which uploads are read, for whoever has only the columns.

A column's name counts without regard to case and spaces; the values of name, address and phone are stripped.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.contract.hospital_matching import fold


@dataclass(frozen=True, slots=True)
class Hospital:
    """What the directory is to be told."""

    name: str
    address: str
    phone: str | None


def cells_by_name(columns: Iterable[str], cells: Iterable[str]) -> dict[str, str]:
    """A row's cells by the names of their columns. Those that the row leaves out at its end are not in it."""
    return dict(zip(columns, cells, strict=False))


def hospital_in(columns: Mapping[str, str]) -> Hospital | None:
    """The hospital of a row's columns as they were uploaded; None when name or address are not among them."""
    values = {fold(column): value.strip() for column, value in columns.items()}
    name, address = values.get("name"), values.get("address")
    return Hospital(name, address, values.get("phone") or None) if name and address else None
