"""Which of a row's cells make the hospital: the rule by which uploads are read, for whoever has only the cells.

JobAccepted says which columns became each field. Older ones do not: then the columns are found by the names `name`,
`address` and `phone`, without regard to case and spaces. The values are stripped.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.contract.events import FieldColumns
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
    return _hospital(values.get("name", ""), values.get("address", ""), values.get("phone", ""))


def hospital_at(fields: FieldColumns, cells: Sequence[str]) -> Hospital | None:
    """The hospital of a row's cells; None when its name or address is empty."""
    phone = value_at(fields.phone, cells)
    return _hospital(
        value_at(fields.name, cells),
        value_at(fields.address, cells),
        phone if phone.isascii() else western_digits(phone),
    )


def value_at(indices: Sequence[int], cells: Sequence[str]) -> str:
    """A field's value: of one cell, or of several joined. A row may be short: its last cells are empty then."""
    if len(indices) == 1:
        index = indices[0]
        return cells[index].strip() if index < len(cells) else ""
    parts = (cells[index].strip() for index in indices if index < len(cells))
    return ", ".join(filter(None, parts))


def western_digits(phone: str) -> str:
    """The number with the digits 0 to 9, whatever script it was written in."""
    text = unicodedata.normalize("NFKC", phone)
    return "".join(str(unicodedata.digit(sign)) if sign.isdecimal() else sign for sign in text)


def _hospital(name: str, address: str, phone: str) -> Hospital | None:
    return Hospital(name, address, phone or None) if name and address else None
