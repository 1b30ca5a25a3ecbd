"""CSV files for tests: written by Python's own writer, in the dialects that people's programs have."""

import asyncio
import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from hypothesis import strategies as st

from services.ingest.csv_file.validation import Rules, ValidationResult, read_sheet, validate_file
from services.ingest.csv_file.workbook import Sheet

_QUOTING_AND_ENDS = st.one_of(
    st.tuples(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]), st.sampled_from(["\n", "\r\n", "\r"])),
    # Python's writer leaves a line end without quotes when it is not its own: with these it quotes both signs.
    st.just((csv.QUOTE_MINIMAL, "\r\n")),
)
DIALECTS = st.builds(
    lambda delimiter, style: {"delimiter": delimiter, "quoting": style[0], "lineterminator": style[1]},
    st.sampled_from([",", ";", "\t"]),
    _QUOTING_AND_ENDS,
)
#: Anything that a cell may hold and that somebody can see, with the signs that CSV gives a meaning to more often.
CELLS = st.text(
    st.one_of(
        st.sampled_from(",;\t\"\n\r '="),
        st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs")),
    ),
    max_size=30,
)
FILLED_CELLS = CELLS.filter(lambda cell: cell.strip() != "")


def csv_bytes(rows: Iterable[Sequence[str]], *, mark: bool = False, **dialect: object) -> bytes:
    """The rows as a program would save them, with a byte order mark if asked for."""
    text = io.StringIO(newline="")
    csv.writer(text, **dialect).writerows(rows)
    return text.getvalue().encode("utf-8-sig" if mark else "utf-8")


def written(directory: Path, content: bytes | str) -> Path:
    """A file with this content."""
    path = directory / "upload.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, rules: Rules) -> ValidationResult:
    """What becomes of a file of any kind, workbooks too."""
    sheet = asyncio.run(read_sheet(path, rules))
    return validate_file(path, rules, sheet) if sheet is None or isinstance(sheet, Sheet) else sheet
