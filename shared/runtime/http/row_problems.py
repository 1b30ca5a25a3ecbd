"""What can be wrong with an uploaded file, one thing at a time. Each kind has a code that never changes its meaning."""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel

#: Most characters of a cell that are shown.
MAX_VALUE_CHARS: Final = 100


class ProblemCode(StrEnum):
    """The kinds of errors and warnings. docs/error-codes.md tells what to do about each."""

    # The file as a whole.
    EMPTY_FILE = "empty_file"
    NO_ROWS = "no_rows"
    UNKNOWN_ENCODING = "unknown_encoding"
    WRONG_ENCODING = "wrong_encoding"
    HTML_PAGE = "html_page"
    JSON_DOCUMENT = "json_document"
    UNKNOWN_DELIMITER = "unknown_delimiter"
    QUOTED_LINES = "quoted_lines"
    UNKNOWN_SHEET = "unknown_sheet"
    PROTECTED_WORKBOOK = "protected_workbook"
    # The header.
    NO_HEADER = "no_header"
    MISSING_COLUMN = "missing_column"
    AMBIGUOUS_COLUMN = "ambiguous_column"
    DUPLICATE_COLUMN = "duplicate_column"
    UNKNOWN_COLUMN = "unknown_column"
    TOO_MANY_COLUMNS = "too_many_columns"
    # A row.
    MISSING_VALUE = "missing_value"
    INVALID_PHONE = "invalid_phone"
    SHORTENED_PHONE = "shortened_phone"
    SHIFTED_ROW = "shifted_row"
    TOO_MANY_FIELDS = "too_many_fields"
    TOO_LONG = "too_long"
    CONTROL_CHARACTER = "control_character"
    BROKEN_QUOTES = "broken_quotes"
    REPEATED_HEADER = "repeated_header"
    DUPLICATE_ROW = "duplicate_row"
    ALREADY_CREATED = "already_created"
    OUTCOME_UNKNOWN = "outcome_unknown"
    OTHER_JOB = "other_job"
    # Warnings.
    UNUSED_COLUMN = "unused_column"
    UNUSED_CELLS = "unused_cells"
    FOOTER = "footer"
    PLACEHOLDER = "placeholder"
    MOJIBAKE = "mojibake"
    TYPOGRAPHIC_QUOTES = "typographic_quotes"
    ESCAPED_QUOTES = "escaped_quotes"
    DECIMAL_PHONE = "decimal_phone"
    CREATED_BEFORE = "created_before"
    SEVERAL_JOBS = "several_jobs"


#: Codes that never refuse a file, unless `strict` makes them errors.
WARNINGS: Final = frozenset(
    {
        ProblemCode.UNUSED_COLUMN,
        ProblemCode.UNUSED_CELLS,
        ProblemCode.FOOTER,
        ProblemCode.PLACEHOLDER,
        ProblemCode.MOJIBAKE,
        ProblemCode.TYPOGRAPHIC_QUOTES,
        ProblemCode.ESCAPED_QUOTES,
        ProblemCode.DECIMAL_PHONE,
        ProblemCode.CREATED_BEFORE,
        ProblemCode.SEVERAL_JOBS,
    }
)


class RowProblem(BaseModel):
    """One thing wrong with a file.

    `row` is the line a spreadsheet shows; None when it is not about a row. `column` is name, address or phone, else the
    header as written. `value` is the cell, cut at 100 characters.
    """

    row: int | None
    column: str | None
    code: ProblemCode
    message: str
    value: str | None = None

    @property
    def is_warning(self) -> bool:
        """Whether a file with it is still taken."""
        return self.code in WARNINGS


class EncodingGuess(BaseModel):
    """An encoding that a file may be in, with the first words that show whether it is."""

    encoding: str
    sample: str


def shown(cell: str) -> str:
    """A cell as a problem shows it."""
    return cell[:MAX_VALUE_CHARS]
