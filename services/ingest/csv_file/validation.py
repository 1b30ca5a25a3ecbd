"""Is a file fit to become a job? Every reason why not, with its row."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.ingest.csv_file.duplicates import MAX_ALIKE, AlikeRows
from services.ingest.csv_file.header import Header, HeaderRejected, find_header
from services.ingest.csv_file.rows import RowRejected, read_rows
from services.ingest.csv_file.text import NotCsv, NotUtf8, open_text
from shared.runtime.problems import RowProblem

MAX_ERRORS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What this installation, and this request, allow."""

    max_rows: int
    allow_duplicates: bool = False


@dataclass(frozen=True, slots=True)
class FileAccepted:
    """Every row can become a hospital."""

    header: Header
    total: int
    #: For each row that has its like above it: how many there are.
    occurrences: dict[int, int]


@dataclass(frozen=True, slots=True)
class FileRejected:
    """What has to be corrected first. At most 1,000 of the errors are listed."""

    errors: list[RowProblem]
    total: int = 0


@dataclass(frozen=True, slots=True)
class WrongKind:
    """It is no CSV."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooManyRows:
    """It has more rows than one job may have."""

    limit: int


Verdict = FileAccepted | FileRejected | WrongKind | TooManyRows


@dataclass(slots=True)
class _Findings:
    alike: AlikeRows = field(default_factory=AlikeRows)
    errors: list[RowProblem] = field(default_factory=list)
    total: int = 0


def inspect(path: Path, rules: Rules) -> Verdict:
    """Reads the whole file once. Memory: about 60 bytes a row at its peak, whatever the rows hold."""
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
                findings.alike.add(outcome.row, outcome.matching_key)
    return _verdict(header, findings, rules)


def _verdict(header: Header, findings: _Findings, rules: Rules) -> FileAccepted | FileRejected:
    if not findings.total:
        findings.errors.append(RowProblem(row=None, column=None, message="The file has a header, but no rows."))
    occurrences: dict[int, int] = {}
    for error in _repeats(findings.alike, rules, occurrences):
        findings.errors.append(error)
        if len(findings.errors) >= 2 * MAX_ERRORS:
            break
    if findings.errors:
        ordered = sorted(findings.errors, key=lambda error: error.row or 0)
        return FileRejected(ordered[:MAX_ERRORS], findings.total)
    return FileAccepted(header, findings.total, occurrences)


def _repeats(alike: AlikeRows, rules: Rules, occurrences: dict[int, int]) -> Iterator[RowProblem]:
    for repeat in alike.repeats():
        occurrences[repeat.row] = repeat.occurrence
        if not rules.allow_duplicates:
            message = (
                f"The same hospital as in row {repeat.first_row}. "
                "Remove one of them, or allow duplicates if both are meant."
            )
            yield RowProblem(row=repeat.row, column=None, message=message)
        elif repeat.occurrence >= MAX_ALIKE:
            message = f"The same hospital as in row {repeat.first_row}, for more than {MAX_ALIKE:,} times."
            yield RowProblem(row=repeat.row, column=None, message=message)
