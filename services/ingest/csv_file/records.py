"""Records of a CSV file (RFC 4180), one at a time and in bounded memory, numbered as in a spreadsheet."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final, NamedTuple, Self, TextIO

from shared.runtime.http.row_problems import ProblemCode, RowProblem

#: Most characters of a record, line breaks included. It bounds memory, and a row's event fits into a Kafka record.
MAX_RECORD_CHARS: Final = 100_000
#: What nobody sees: zero width space, direction marks, word joiner, a second byte order mark, soft hyphen. The joiners
#: are letters' business in the scripts of Persia and India; elsewhere nobody sees them either.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]"
    "|(?<![\u0600-\u0dff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\u0dff])"
)
#: The same and the joiners: one class is quick to look for.
_MAYBE_INVISIBLE: Final = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """How a file separates its columns."""

    delimiter: str = ","
    #: Whether a space after a delimiter is left out, as when it stands before a quote: `a, "b"`.
    skip_space: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that cannot be read. The message names the line on which it begins."""

    message: str
    #: Whether a closing quote is missing, so that nothing after it can be read either.
    is_open: bool = False

    def problem(self, row: int) -> RowProblem:
        """As it is told."""
        return RowProblem(row=row, column=None, code=ProblemCode.BROKEN_QUOTES, message=self.message)


Cells = list[str]


class RecordTooLong(ValueError):
    """The record has more than MAX_RECORD_CHARS characters."""


class RecordLines:
    """The lines of a text for `csv.reader`, without invisible characters.

    Raises RecordTooLong when a record has too many characters.
    """

    def __init__(self, text: TextIO) -> None:
        self._read_line = text.readline
        self._left = MAX_RECORD_CHARS
        #: Lines read so far.
        self.number = 0

    def begin_record(self) -> None:
        """Starts counting the characters of a new record."""
        self._left = MAX_RECORD_CHARS

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._read_line(self._left + 1)
        if not line:
            raise StopIteration
        self._left -= len(line)
        if self._left < 0:
            raise RecordTooLong
        self.number += 1
        if line.isascii() or not _MAYBE_INVISIBLE.search(line):
            return line
        return _INVISIBLE.sub("", line)


def records(text: TextIO, record_format: RecordFormat) -> Iterator[tuple[int, Cells | Unreadable]]:
    """Every record with its row number, from 1. Blank records are counted, but not returned.

    A quoted field with line breaks is part of one row. Reading ends at a record that is too long.
    """
    lines = RecordLines(text)
    reader = csv.reader(
        lines, delimiter=record_format.delimiter, skipinitialspace=record_format.skip_space, strict=True
    )
    for row in count(1):
        lines.begin_record()
        first = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except RecordTooLong:
            yield row, _too_long(first)
            return
        except csv.Error as error:
            yield row, _broken(error, first, lines.number)
        else:
            if any(cells) and not all(map(str.isspace, filter(None, cells))):
                yield row, cells


def _too_long(first: int) -> Unreadable:
    return Unreadable(
        f"The record that begins on line {first} has more than {MAX_RECORD_CHARS:,} characters: "
        "is a closing quote missing? Nothing after it was checked.",
        is_open=True,
    )


def _broken(error: csv.Error, first: int, last: int) -> Unreadable:
    if "end of data" in str(error):
        return Unreadable(f"A quote opened in the record that begins on line {first} is never closed.", is_open=True)
    if last > first:
        return Unreadable(
            f"A quote opened in the record that begins on line {first} ends on line {last} in the middle of a field: "
            'is a closing quote missing? Write a quote inside a quoted field twice ("").'
        )
    return Unreadable(f'Line {first}: text follows a closing quote. Write a quote inside a quoted field twice ("").')


class DelimiterFit(NamedTuple):
    """How well a delimiter fits rows without a header, where no name of a column tells it. The greater is likelier."""

    #: Two for each row that has the cells which are needed, or one, when a cell begins with a space, as after a comma
    #: in a sentence.
    points: int = 0
    #: How many of these rows have the same number of cells.
    alike: int = 0
    #: Hardly anybody writes a tab within a cell.
    is_tab: bool = False


def delimiter_fit(rows: Iterable[Cells], needed: int, delimiter: str) -> DelimiterFit:
    """How it fits the rows that it has made. `needed`: how many cells a row has at least."""
    fitting = [cells for cells in rows if len(cells) >= needed and not any(map(_is_half_quoted, cells))]
    spaced = sum(any(cell.startswith(" ") for cell in cells[1:]) for cells in fitting)
    widths = Counter(map(len, fitting))
    return DelimiterFit(2 * len(fitting) - spaced, max(widths.values(), default=0), delimiter == "\t")


def _is_half_quoted(cell: str) -> bool:
    """Whether it is a piece of a quoted cell: the delimiter stood between the quotes."""
    return cell.count('"') % 2 == 1
