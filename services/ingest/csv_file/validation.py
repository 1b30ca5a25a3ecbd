"""Whether a file can become a job, how it was read, and every reason why not with its row."""

from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path
from typing import Final

from services.ingest.csv_file.corrections import CorrectedRows, Correction
from services.ingest.csv_file.encodings import EncodingUnknown, EncodingWrong
from services.ingest.csv_file.file_kind import FileKind, NotCsv, file_kind
from services.ingest.csv_file.findings import MAX_LISTED, Findings
from services.ingest.csv_file.header import (
    DELIMITERS,
    Header,
    HeaderRejected,
    HeaderRequest,
    find_header,
    header_warnings,
)
from services.ingest.csv_file.problem_file import ProblemFile, write_errors
from services.ingest.csv_file.rows import Row, RowReader, RowRejected
from services.ingest.csv_file.text import TextFile, text_file
from services.ingest.csv_file.workbook import Sheet, WorkbookRejected, WorkbookTooLarge, sheet_as_text
from services.ingest.row_matching.created_before import (
    LISTED_ROWS,
    NONE_CREATED,
    AlreadyCreated,
    CreatedBefore,
    CreatedRows,
    created_problems,
)
from services.ingest.row_matching.duplicates import DuplicateRows, RowHash, duplicate_problems
from shared.runtime.http.row_problems import EncodingGuess, ProblemCode, RowProblem

#: How many rows are shown as they will be sent.
SAMPLE_ROWS: Final = 5
#: What separates the columns of a sheet that was written as text.
SHEET_DELIMITERS: Final = (",",)
#: Most rows created before that the CSV of all problems names; each is kept in memory until then.
MAX_CREATED_IN_FILE: Final = 100_000


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits of this installation and the choices of this request."""

    max_rows: int
    allow_duplicates: bool = False
    #: Rows that were created before, by what we remember or a result file of ours says, may be created once more.
    repeat_created: bool = False
    #: Warnings are errors.
    strict: bool = False
    header: HeaderRequest = field(default_factory=HeaderRequest)
    #: The codec of the encoding that the request names.
    encoding: str | None = None
    #: The sheet of a workbook that the request names.
    sheet: str | None = None
    #: Where all errors and warnings are written as CSV, also those that are not listed.
    problem_file: Path | None = None
    #: The job that the request says is corrected.
    corrects: str | None = None
    #: What the tenant's jobs have created; None: nothing is known.
    created: CreatedRows | None = None


@dataclass(frozen=True, slots=True)
class FileReading:
    """How a file was read. Parts that did not get so far are None or empty."""

    file: TextFile
    #: Of a workbook.
    sheet: Sheet | None = None
    header: Header | None = None
    sample: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class FileAccepted:
    """Every row can become a hospital."""

    reading: FileReading
    header: Header
    total: int
    #: For each row that repeats a hospital: how many rows above it have the same one.
    occurrences: dict[int, int]
    warnings: list[RowProblem] = field(default_factory=list)
    warnings_total: int = 0
    already_created: AlreadyCreated = NONE_CREATED
    correction: Correction | None = None


@dataclass(frozen=True, slots=True)
class FileRejected:
    """The file has errors, of which at most 1,000 are listed."""

    errors: list[RowProblem]
    errors_total: int
    total: int = 0
    warnings: list[RowProblem] = field(default_factory=list)
    warnings_total: int = 0
    reading: FileReading | None = None
    encoding_guesses: tuple[EncodingGuess, ...] = ()
    already_created: AlreadyCreated = NONE_CREATED
    correction: Correction | None = None


@dataclass(frozen=True, slots=True)
class WrongKind:
    """The file is neither a text nor a workbook."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooManyRows:
    """The file has more rows than one job may have."""

    limit: int


@dataclass(frozen=True, slots=True)
class UnpacksToTooMuch:
    """The workbook unpacks to more than is read."""

    reason: str


#: No list, or too much of one.
Unsuitable = WrongKind | TooManyRows | UnpacksToTooMuch
ValidationResult = FileAccepted | FileRejected | Unsuitable


async def read_sheet(path: Path, rules: Rules) -> Sheet | FileRejected | Unsuitable | None:
    """The sheet of a workbook as text, or why it cannot be read. None: the file is a text."""
    try:
        if file_kind(path) is FileKind.TEXT:
            return None
        return await sheet_as_text(path, rules.sheet, rules.max_rows)
    except NotCsv as error:
        return WrongKind(str(error))
    except WorkbookTooLarge as error:
        return UnpacksToTooMuch(str(error))
    except WorkbookRejected as error:
        return _rejected((RowProblem(row=None, column=None, code=error.code, message=str(error)),))


def validate_file(path: Path, rules: Rules, sheet: Sheet | None = None) -> ValidationResult:
    """Reads the whole file once, in at most about 60 bytes of memory a row. `sheet`: what `read_sheet` made of it."""
    if rules.problem_file is None:
        return _validate_file(path, rules, sheet)
    with ProblemFile(rules.problem_file) as problems:
        result = _validate_file(path, rules, sheet, problems)
    if isinstance(result, FileRejected) and not problems.total:  # no row was read
        write_errors(rules.problem_file, result.errors)
    return result


def _validate_file(
    path: Path, rules: Rules, sheet: Sheet | None, problems: ProblemFile | None = None
) -> ValidationResult:
    try:
        file = TextFile(sheet.path, "utf-8") if sheet else text_file(path, rules.encoding)
    except EncodingWrong as error:
        problem = RowProblem(row=None, column=None, code=ProblemCode.WRONG_ENCODING, message=str(error))
        return _rejected((problem,), guesses=error.guesses)
    except EncodingUnknown as error:
        return _rejected((_encoding_unknown(),), guesses=error.guesses)
    with file.open() as text:
        header = find_header(text, rules.header, file.spaced, SHEET_DELIMITERS if sheet else DELIMITERS)
    if isinstance(header, HeaderRejected):
        return _rejected(header.errors, FileReading(file, sheet))
    return _validate_rows(FileReading(file, sheet, header), header, rules, problems)


def _validate_rows(
    reading: FileReading, header: Header, rules: Rules, problems: ProblemFile | None
) -> FileAccepted | FileRejected | TooManyRows:
    findings, duplicates, total = Findings(rules.strict, problems), DuplicateRows(), 0
    hash_of = RowHash(rules.created.key if rules.created else b"").of
    sample: list[Row] = []
    findings.add(header_warnings(header))
    corrected = CorrectedRows(header, rules.corrects)
    reader = RowReader(header, rules.repeat_created, corrected if corrected.are_named else None)
    with reading.file.open() as text:
        for outcome in reader.read(text):
            total += 1
            if total > rules.max_rows:
                return TooManyRows(rules.max_rows)
            if reader.warnings:
                findings.add(reader.warnings)
                reader.warnings.clear()
            if isinstance(outcome, RowRejected):
                findings.add(outcome.errors)
                continue
            duplicates.add(outcome.row, hash_of(outcome.name, outcome.address, outcome.phone))
            if len(sample) < SAMPLE_ROWS:
                sample.append(outcome)
    if not total:
        message = "The file has a header, but no rows."
        findings.add((RowProblem(row=None, column=None, code=ProblemCode.NO_ROWS, message=message),))
    occurrences: dict[int, int] = {}
    already_created = _compare(duplicates, corrected, rules, occurrences, findings)
    reading = FileReading(reading.file, reading.sheet, header, tuple(sample))
    warnings, warnings_total = findings.warnings.listed, findings.warnings.total
    if findings.errors.total:
        errors = findings.errors
        return FileRejected(
            errors.listed,
            errors.total,
            total,
            warnings,
            warnings_total,
            reading,
            already_created=already_created,
            correction=corrected.correction(),
        )
    correction = corrected.correction()
    return FileAccepted(reading, header, total, occurrences, warnings, warnings_total, already_created, correction)


def _compare(
    rows: DuplicateRows, corrected: CorrectedRows, rules: Rules, occurrences: dict[int, int], findings: Findings
) -> AlreadyCreated:
    """Compares the rows with one another and with what was created before. Adds what is wrong in the order of rows."""
    refuses = rules.strict and not rules.repeat_created
    listed = MAX_CREATED_IN_FILE if rules.problem_file else MAX_LISTED
    before = CreatedBefore(rules.created, rows, listed if refuses else LISTED_ROWS)
    repeated = duplicate_problems(rows.duplicates(before.look_at), rules.allow_duplicates, occurrences)
    found = before.result()
    created = created_problems(found) if refuses else ()
    problems = merge(repeated, created, corrected.problems(), key=lambda problem: problem.row or 0)
    findings.begin_late()
    findings.add(problems, unlisted=found.count - len(found.rows) if refuses else 0)
    return AlreadyCreated(found.count, found.rows[:LISTED_ROWS])


def _rejected(
    errors: tuple[RowProblem, ...], reading: FileReading | None = None, guesses: tuple[EncodingGuess, ...] = ()
) -> FileRejected:
    return FileRejected(list(errors), len(errors), reading=reading, encoding_guesses=guesses)


def _encoding_unknown() -> RowProblem:
    message = (
        "The file is not UTF-8, so its letters can be read in several ways. Choose how they read right (`encoding`), "
        "or save the file as CSV UTF-8: in Excel by Save As, CSV UTF-8; in LibreOffice by Save As, Edit filter "
        "settings, Unicode (UTF-8); Google Sheets downloads CSV as UTF-8."
    )
    return RowProblem(row=None, column=None, code=ProblemCode.UNKNOWN_ENCODING, message=message)
