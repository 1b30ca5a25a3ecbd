"""How a file was read, in lines: its columns, and its first hospitals as they will be sent. Pure."""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size

from client.output.encoding_names import encoding_name
from client.output.problem_words import grouped
from client.output.words import counted, hospitals, printable
from client.schemas import AlreadyCreated, ColumnsRead, SampleRow, ValidationReport

_SIGNS: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}
_CELL: Final = 48
_NAMED_COLUMNS: Final = 10


def checked(report: ValidationReport) -> list[str]:
    """How it was read, what it corrects, what was created before, and what looks wrong."""
    lines = [*reading(report), *_corrects(report), *_created_before(report.already_created)]
    if report.warnings_count:
        lines.append(f"{counted(report.warnings_count, 'warning', 'warnings')}:")
        lines += [f"  {line}" for line in grouped(report.warnings, report.warnings_count)]
    return lines


def reading(report: ValidationReport) -> list[str]:
    """Nothing when the service does not say how it reads."""
    if report.mapping is None:
        return []
    return [*_file(report), columns(report.mapping), *_sample(report.sample)]


def columns(mapping: ColumnsRead) -> str:
    """Such as "Columns: name from NAME; address from STREET + CITY; no phone; not sent: BEDS"."""
    fields = (("name", mapping.name), ("address", mapping.address), ("phone", mapping.phone))
    parts = [f"{field} from {' + '.join(names)}" if names else f"no {field}" for field, names in fields]
    if mapping.unused:
        rest = len(mapping.unused) - _NAMED_COLUMNS
        named = ", ".join(mapping.unused[:_NAMED_COLUMNS])
        parts.append(f"not sent: {named}" + (f" and {rest:,} more" if rest > 0 else ""))
    return printable(f"Columns: {'; '.join(parts)}")


def has_guessed_columns(mapping: ColumnsRead, chosen: Sequence[str]) -> bool:
    """Whether a field was found in a column of another name. `chosen`: fields whose columns the person named."""
    fields = {"name": mapping.name, "address": mapping.address, "phone": mapping.phone}
    return any(
        name.strip().casefold() != field for field, names in fields.items() if field not in chosen for name in names
    )


def _corrects(report: ValidationReport) -> list[str]:
    return [printable(f"It corrects rows of job {report.corrects}.")] if report.corrects else []


def _created_before(found: AlreadyCreated) -> list[str]:
    """Such as "2 hospitals were created before:" with the rows that created them."""
    if not found.count:
        return []
    lines = [f"  row {row.row}: row {row.job_row} of job {row.job_id}" for row in found.rows]
    if lines and (rest := found.count - len(found.rows)) > 0:
        lines.append(f"  and {rest:,} more")
    head = f"{hospitals(found.count)} {'was' if found.count == 1 else 'were'} created before"
    return [f"{head}{':' if lines else '.'}", *map(printable, lines)]


def _file(report: ValidationReport) -> list[str]:
    """What is not as it usually is."""
    others = [name for name in report.sheets if name != report.sheet]
    said = [
        f"sheet {report.sheet!r}" + (f" (--sheet reads another: {', '.join(others)})" if others else "")
        if report.sheet
        else "",
        encoding_name(report.encoding) if report.encoding not in (None, "utf-8") else "",
        f"separated by {_SIGNS.get(report.delimiter, report.delimiter)}" if report.delimiter not in (None, ",") else "",
        _header(report.header_row),
    ]
    parts = [part for part in said if part]
    return [printable(f"Read: {', '.join(parts)}")] if parts else []


def _header(row: int | None) -> str:
    return "no header" if row == 0 else f"header in row {row}" if row not in (None, 1) else ""


def _sample(rows: Sequence[SampleRow]) -> list[str]:
    """Columns below one another, also where letters are two cells wide."""
    if not rows:
        return []
    table = [(f"row {row.row}", _cut(row.name), _cut(row.address), _cut(row.phone or "no phone")) for row in rows]
    widths = [max(cell_len(line[place]) for line in table) for place in range(len(table[0]))]
    aligned = ["  ".join(map(set_cell_size, line, widths)).rstrip() for line in table]
    return ["As they will be sent:", *(f"  {line}" for line in aligned)]


def _cut(text: str) -> str:
    shown = printable(text)
    return shown if cell_len(shown) <= _CELL else f"{set_cell_size(shown, _CELL - 1).rstrip()}…"
