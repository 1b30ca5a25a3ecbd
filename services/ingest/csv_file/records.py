"""Records of a CSV (RFC 4180): one at a time, numbered as a spreadsheet numbers them, in bounded memory."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final, Self, TextIO

#: The longest record, line breaks and all. It bounds memory, and every row's event stays within Kafka's record size.
MAX_RECORD_CHARS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that cannot be told apart from what follows; the message names the line on which it began."""

    message: str
    #: Whether it ends where the file does, or not at all: a closing quote is missing.
    is_open: bool = False


Cells = list[str]


class RecordTooLong(ValueError):
    """A record does not end where records end."""


class RecordLines:
    """The lines of a text, for `csv.reader`, with a limit on how many characters one record may have."""

    def __init__(self, text: TextIO) -> None:
        self._read_line = text.readline
        self._left = MAX_RECORD_CHARS
        #: Lines handed out so far.
        self.number = 0

    def begin_record(self) -> None:
        """The characters that follow belong to a new record."""
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
        return line


def records(text: TextIO, delimiter: str) -> Iterator[tuple[int, Cells | Unreadable]]:
    """Every record with its row number. Blank ones are counted but not returned; the first one is row 1.

    A quoted field with line breaks stays in one row. After a record without end nothing follows.
    """
    lines = RecordLines(text)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    for row in count(1):
        lines.begin_record()
        first = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except RecordTooLong:
            yield row, _without_end(first)
            return
        except csv.Error as error:
            yield row, _broken(error, first, lines.number)
        else:
            if any(cells) and not all(map(str.isspace, filter(None, cells))):
                yield row, cells


def _without_end(first: int) -> Unreadable:
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
