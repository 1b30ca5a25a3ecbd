"""Whether a file can become a job, and every reason why not with its row."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.ingest.csv_file.duplicates import MAX_DUPLICATES, DuplicateRows
from services.ingest.csv_file.header import Header, HeaderRejected, find_header
from services.ingest.csv_file.rows import RowRejected, read_rows
from services.ingest.csv_file.text import NotCsv, NotUtf8, open_text
from shared.runtime.http.problems import RowProblem

MAX_ERRORS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits of this installation and the choices of this request."""

    max_rows: int
    allow_duplicates: bool = False


@dataclass(frozen=True, slots=True)
class FileAccepted:
    """Every row can become a hospital."""

    header: Header
    total: int
    #: For each row that repeats a hospital: how many rows above it have the same one.
    occurrences: dict[int, int]


@dataclass(frozen=True, slots=True)
class FileRejected:
    """The file has errors, of which at most 1,000 are listed."""

    errors: list[RowProblem]
    total: int = 0


@dataclass(frozen=True, slots=True)
class WrongKind:
    """The file is not a CSV."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooManyRows:
    """The file has more rows than one job may have."""

    limit: int


#: No CSV, or too much of one.
Unsuitable = WrongKind | TooManyRows
ValidationResult = FileAccepted | FileRejected | Unsuitable


@dataclass(slots=True)
class _Findings:
    duplicates: DuplicateRows = field(default_factory=DuplicateRows)
    errors: list[RowProblem] = field(default_factory=list)
    total: int = 0


def validate_file(path: Path, rules: Rules) -> ValidationResult:
    """Reads the whole file once. Takes at most about 60 bytes of memory a row."""
    try:
        text = open_text(path)
    except NotCsv as error:
        return WrongKind(str(error))
    except NotUtf8 as error:
        return FileRejected([RowProblem(row=None, column=None, message=str(error))])
    with text:
        header = find_header(text)
        if isinstance(header, HeaderRejected):
            return FileRejected(list(header.errors))
        findings = _Findings()
        for outcome in read_rows(text, header):
            findings.total += 1
            if findings.total > rules.max_rows:
                return TooManyRows(rules.max_rows)
            if isinstance(outcome, RowRejected):
                findings.errors += outcome.errors[: MAX_ERRORS - len(findings.errors)]
            else:
                findings.duplicates.add(outcome.row, outcome.matching_key)
    return _result(header, findings, rules)


def _result(header: Header, findings: _Findings, rules: Rules) -> FileAccepted | FileRejected:
    if not findings.total:
        findings.errors.append(RowProblem(row=None, column=None, message="The file has a header, but no rows."))
    occurrences: dict[int, int] = {}
    for error in _duplicate_problems(findings.duplicates, rules, occurrences):
        findings.errors.append(error)
        if len(findings.errors) >= 2 * MAX_ERRORS:
            break
    if findings.errors:
        ordered = sorted(findings.errors, key=lambda error: error.row or 0)
        return FileRejected(ordered[:MAX_ERRORS], findings.total)
    return FileAccepted(header, findings.total, occurrences)


def _duplicate_problems(duplicates: DuplicateRows, rules: Rules, occurrences: dict[int, int]) -> Iterator[RowProblem]:
    for duplicate in duplicates.duplicates():
        occurrences[duplicate.row] = duplicate.occurrence
        if not rules.allow_duplicates:
            message = (
                f"The same hospital as in row {duplicate.first_row}. "
                "Remove one of them, or allow duplicates if both are meant."
            )
            yield RowProblem(row=duplicate.row, column=None, message=message)
        elif duplicate.occurrence >= MAX_DUPLICATES:
            message = f"The same hospital as in row {duplicate.first_row}, for more than {MAX_DUPLICATES:,} times."
            yield RowProblem(row=duplicate.row, column=None, message=message)
