"""Which columns become name, address and phone: as the request says, else by their names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.ingest.csv_file.known_columns import (
    REQUIRED,
    HospitalField,
    exact_field,
    folded_name,
    is_place,
    known_field,
    plain_field,
)
from shared.contract.result_columns import RESULT_COLUMNS
from shared.runtime.http.row_problems import ProblemCode, RowProblem, shown

#: The columns that we add to a result file. When it is uploaded again they are left out.
_OURS: Final = frozenset(RESULT_COLUMNS)
#: For each field the names of the columns that hold it, in order; empty means none. What is not named is found.
RequestedMapping = Mapping[HospitalField, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """The indices of the cells that become each field. Several are joined with a comma and a space."""

    name: tuple[int, ...] = ()
    address: tuple[int, ...] = ()
    phone: tuple[int, ...] = ()
    #: Columns that look as if the directory should be told of them, and are not used.
    useful: tuple[int, ...] = ()
    problems: tuple[RowProblem, ...] = field(default=(), compare=False)

    def of(self, hospital_field: HospitalField) -> tuple[int, ...]:
        """The indices of one field's columns."""
        indices: tuple[int, ...] = getattr(self, hospital_field)
        return indices


def is_ours(name: str) -> bool:
    """Whether a column was added by us to a result file."""
    return name.strip().casefold() in _OURS


def map_columns(row: int, cells: Sequence[str], requested: RequestedMapping) -> ColumnMapping:
    """Finds the columns of each field in the cells of a header, with what is wrong about them. `row` 0: of none."""
    found = {each: _requested(row, cells, each, names) for each, names in requested.items()}
    taken = {index for columns in found.values() if isinstance(columns, tuple) for index in columns}
    free = [index for index, name in enumerate(cells) if name.strip() and index not in taken and not is_ours(name)]
    found |= {each: _known(row, cells, each, free) for each in HospitalField if each not in requested}
    indices = {each: columns for each, columns in found.items() if isinstance(columns, tuple)}
    problems = [problem for each in HospitalField if isinstance(problem := found[each], RowProblem)]
    problems += _missing(row, cells, indices, requested)
    return ColumnMapping(
        **{str(each): columns for each, columns in indices.items()},
        useful=tuple(_useful(cells, indices, requested)),
        problems=tuple(problems),
    )


def _known(row: int, cells: Sequence[str], wanted: HospitalField, free: Sequence[int]) -> tuple[int, ...] | RowProblem:
    """The column of this name; else the one of nearly this name; else the one of another name of the field."""
    for field_of in (plain_field, exact_field, known_field):
        candidates = tuple(index for index in free if field_of(cells[index]) is wanted)
        if len(candidates) == 1:
            return candidates
        if candidates:
            return _ambiguous(row, wanted, [cells[index] for index in candidates])
    return ()


def _requested(
    row: int, cells: Sequence[str], wanted: HospitalField, names: Sequence[str]
) -> tuple[int, ...] | RowProblem:
    indices: list[int] = []
    named = [(index, cell) for index, cell in enumerate(cells) if cell.strip() and not is_ours(cell)]
    for name in names:
        folded = folded_name(name)
        candidates = [index for index, cell in named if cell == name]
        candidates = candidates or [index for index, cell in named if folded and folded_name(cell) == folded]
        if not candidates:
            return _unknown(row, cells, wanted, name)
        if len(candidates) > 1:
            return _ambiguous(row, wanted, [cells[index] for index in candidates])
        indices.append(candidates[0])
    return tuple(indices)


def _missing(
    row: int,
    cells: Sequence[str],
    indices: Mapping[HospitalField, tuple[int, ...]],
    requested: RequestedMapping,
) -> Iterator[RowProblem]:
    for wanted in REQUIRED:
        if indices.get(wanted) == ():
            if wanted in requested:
                message = (
                    f"`mapping` says that no column holds the {wanted}. Every hospital needs one: name its column."
                )
            elif not row:
                message = (
                    f"There is no header. Choose the column that holds the {wanted} by its letter, A to {cells[-1]} "
                    "(`mapping`)."
                )
            else:
                message = (
                    f"No column looks like the {wanted}. The header in row {row} has: {_listed(cells)}. "
                    f"Rename the column that holds it to `{wanted}`, or choose it (`mapping`)."
                )
            yield RowProblem(row=row or None, column=wanted, code=ProblemCode.MISSING_COLUMN, message=message)


def _ambiguous(row: int, wanted: HospitalField, names: Sequence[str]) -> RowProblem:
    if len(set(map(folded_name, names))) == 1:
        message = f"The header has {len(names)} columns called {shown(names[0])!r}. Rename or remove all but one."
        return RowProblem(row=row, column=wanted, code=ProblemCode.DUPLICATE_COLUMN, message=message)
    message = (
        f"Several columns could be the {wanted}: {_listed(names)}. "
        f'Choose one (`mapping`, for example {{"{wanted}": "{shown(names[0])}"}}).'
    )
    return RowProblem(row=row, column=wanted, code=ProblemCode.AMBIGUOUS_COLUMN, message=message)


def _unknown(row: int, cells: Sequence[str], wanted: HospitalField, name: str) -> RowProblem:
    message = f"`mapping` names the column {shown(name)!r}, which the file does not have. It has: {_listed(cells)}."
    return RowProblem(
        row=row or None, column=wanted, code=ProblemCode.UNKNOWN_COLUMN, message=message, value=shown(name)
    )


def _useful(
    cells: Sequence[str], indices: Mapping[HospitalField, tuple[int, ...]], requested: RequestedMapping
) -> Iterator[int]:
    """Columns that hold a field as well, or a part of the address."""
    used = {index for columns in indices.values() for index in columns}
    for index, name in enumerate(cells):
        if index in used or not name.strip() or is_ours(name):
            continue
        known = known_field(name)
        is_second = known is not None and (bool(indices.get(known)) or requested.get(known) == ())
        if is_second or (is_place(name) and HospitalField.ADDRESS not in requested):
            yield index


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(repr(shown(name)) for name in names[:10] if name.strip())
    return listed if len(names) <= 10 else f"{listed} and {len(names) - 10:,} more"
