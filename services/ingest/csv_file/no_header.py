"""Why a file has no header that we know: the cause by its name, with what to do about it."""

import re
from collections.abc import Sequence
from typing import Final

from services.ingest.csv_file.known_columns import HospitalField, known_field
from services.ingest.csv_file.records import Cells
from shared.runtime.http.row_problems import ProblemCode, RowProblem, shown

_HTML: Final = re.compile(r"\s*<(!doctype|html|head|body|table|\?xml)\b", re.IGNORECASE)
_JSON: Final = re.compile(r'\s*[\[{]\s*["{\[]')
_QUOTED_LINE: Final = re.compile(r'"(?:[^"]|"")*[,;\t](?:[^"]|"")*"\s*')
_DIGIT: Final = re.compile(r"\d")
_OTHER_DELIMITERS: Final = {"|": "a vertical bar (|)", ":": "a colon", "~": "a tilde (~)", "^": "a caret (^)"}
_DELIMITERS: Final = re.compile(r"[,;\t]")


def why_no_header(lines: Sequence[str], cells: Cells) -> tuple[RowProblem, ...]:
    """The cause, when it is one of those that are known. `lines`: the first of the file; `cells`: the likeliest header.

    Nothing is returned when the columns only have other names.
    """
    text = next((line for line in lines if line.strip()), "")
    if _HTML.match(text):
        return _problem(
            ProblemCode.HTML_PAGE,
            "The file is a web page, not a list. It may be an error page that was saved in place of the export. "
            "Open it in a browser to see, and export the list again.",
        )
    if _JSON.match(text):
        return _problem(ProblemCode.JSON_DOCUMENT, "The file is JSON. Export the list as CSV or as an Excel workbook.")
    if delimiter := _other_delimiter(text):
        return _problem(
            ProblemCode.UNKNOWN_DELIMITER,
            f"The columns are separated by {_OTHER_DELIMITERS[delimiter]}. "
            "Save the file with commas, semicolons or tabs between the columns.",
        )
    if len(cells) == 1 and (_QUOTED_LINE.fullmatch(text) or len(_fields(_DELIMITERS.split(cells[0]))) > 1):
        return _problem(
            ProblemCode.QUOTED_LINES,
            "Every line stands in one cell, so the columns cannot be told apart. Open the file in a text editor and "
            "remove the quotes round the lines, or split the cells in the spreadsheet (Data, Text to Columns).",
        )
    if _is_data(cells):
        first = shown(next(cell for cell in cells if cell.strip()))
        return _problem(
            ProblemCode.NO_HEADER,
            f"The first line looks like data ({first!r}). "
            "Insert a row at the top that names the columns: name, address, phone. "
            "Or choose the columns by their letters (`mapping`).",
        )
    return ()


def _problem(code: ProblemCode, message: str) -> tuple[RowProblem, ...]:
    return (RowProblem(row=None, column=None, code=code, message=message),)


def _other_delimiter(line: str) -> str | None:
    return next((sign for sign in _OTHER_DELIMITERS if len(_fields(line.split(sign))) > 1), None)


def _fields(names: Sequence[str]) -> set[HospitalField]:
    """The fields that are among the names."""
    return {field for name in names if (field := known_field(name.strip(' "\r\n'))) is not None}


def _is_data(cells: Cells) -> bool:
    """Whether it is no header at all: digits stand in at least every fourth cell, and no name is known."""
    if any(known_field(cell) for cell in cells):
        return False
    return sum(bool(_DIGIT.search(cell)) for cell in cells) * 4 >= len(cells)
