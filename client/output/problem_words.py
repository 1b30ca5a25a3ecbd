"""What is wrong with a file, in lines: problems of one kind together, with the first rows of each. Pure."""

from collections.abc import Sequence
from typing import Final

from client.output.encoding_names import encoding_name
from client.output.words import printable, problem
from client.schemas import ErrorsFound, RowProblem

#: How many rows of a kind are named.
_NAMED_ROWS: Final = 5
_VALUE_CHARS: Final = 40
_FIELDS: Final = ("name", "address", "phone")
#: The option of this command that each kind can be mended with.
_OPTIONS: Final = {
    "no_header": "--header-row ROW, if a row further down names the columns; "
    "--header-row 0 --map name=A --map address=B, if none does.",
    "missing_column": "--map FIELD=COLUMN says which column it is; several are joined.",
    "ambiguous_column": "--map FIELD=COLUMN says which column it is.",
    "unknown_column": "--map FIELD=COLUMN names one of these.",
    "unused_column": "--map FIELD=COLUMN, once for each column of the field, sends it too.",
    "unknown_encoding": "--encoding NAME says how to read it.",
    "wrong_encoding": "--encoding NAME says how to read it.",
    "unknown_sheet": "--sheet NAME says which one.",
    "duplicate_row": "--allow-duplicates if they are all meant.",
    "already_created": "--repeat-created if they are to be created once more.",
    "created_before": "--repeat-created if they are to be created once more.",
    "several_jobs": "--corrects JOB says which of them is corrected.",
    "other_job": "without --corrects the job of the file is corrected.",
    "outcome_unknown": "`hospital-bulk resolve` resolves a row, after a look into the directory.",
}


def found(errors: ErrorsFound) -> list[str]:
    """All that is listed of a file's errors, and the encodings that it may be in."""
    guesses = [
        f"--encoding {guess.encoding} reads it as: {printable(guess.sample)} - {encoding_name(guess.encoding)}"
        for guess in errors.encoding_guesses
    ]
    return [*grouped(errors.errors, errors.errors_count), *guesses]


def grouped(problems: Sequence[RowProblem], total: int) -> list[str]:
    """Two lines or fewer for each kind, in the order of the file. `total`: how many there are, listed or not."""
    kinds: dict[tuple[str | None, str], list[RowProblem]] = {}
    for each in problems:
        kinds.setdefault(_kind(each), []).append(each)
    lines = [line for alike in kinds.values() for line in _lines(alike)]
    rest = total - len(problems)
    if problems and rest > 0:
        lines.append(f"{rest:,} more are not listed here; --errors FILE writes them all.")
    hinted = dict.fromkeys(_OPTIONS[each.code] for each in problems if each.code in _OPTIONS)
    return lines + [f"Option: {hint}" for hint in hinted]


def _kind(found: RowProblem) -> tuple[str | None, str]:
    column = found.column if found.code is None or found.column in _FIELDS else None
    return column, found.code or found.message


def _lines(alike: Sequence[RowProblem]) -> list[str]:
    first = alike[0]
    if len(alike) == 1:
        return [problem(first)]
    amount = _amount(alike)
    if len({each.message for each in alike}) == 1 and len({each.column for each in alike}) == 1:
        others, head = alike, ", ".join(filter(None, [amount, first.column])) + f": {first.message}"
    else:
        others, head = alike[1:], f"{amount}, such as {problem(first)}"
    return [printable(head), f"  {_places(others, also=others is not alike)}"]


def _amount(alike: Sequence[RowProblem]) -> str:
    """Rows, or else columns of a header, or else times."""
    if len(rows := {each.row for each in alike}) > 1:
        return f"{len(rows):,} rows"
    columns = {each.column for each in alike}
    return f"{len(alike):,} {'columns' if len(columns) == len(alike) else 'times'}"


def _places(problems: Sequence[RowProblem], *, also: bool) -> str:
    """Such as "also rows 4, 5 and 7 more", "row 4 (9.2E+09), row 5 (1E+10)"."""
    named = problems[:_NAMED_ROWS]
    places = [_place(each) for each in named]
    if len(places) > 1 and all(place == f"row {each.row}" for place, each in zip(places, named, strict=True)):
        places = [f"rows {named[0].row}", *(str(each.row) for each in named[1:])]
    rest = len(problems) - len(named)
    return ("also " if also else "") + ", ".join(places) + (f" and {rest:,} more" if rest else "")


def _place(found: RowProblem) -> str:
    column = found.column if found.column not in _FIELDS else None
    place = ", ".join(filter(None, [f"row {found.row}" if found.row else "", column or ""]))
    value = (found.value or "")[:_VALUE_CHARS]
    return printable(f"{place} ({value})" if value else place or found.message)
