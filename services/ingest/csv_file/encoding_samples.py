"""Words of a file, as each of several encodings reads them: by these a person can tell which one is right."""

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from typing import Final

_CELLS: Final = 3
#: So much of a long cell is shown, with so much before the first sign by which the readings differ.
_CELL_CHARS: Final = 40
_CHARS_BEFORE: Final = 12
#: How many cells are looked at.
_MAX_CELLS: Final = 5_000
_LINE_ENDS: Final = re.compile(r"[\r\n]+")
_DELIMITERS: Final = re.compile(r"[,;\t]")

#: A cell as each of the texts has it.
_Readings = tuple[str, ...]


def telling_samples(texts: Sequence[str]) -> list[str]:
    """A sample of each text, no two of them alike. `texts`: different readings of the same bytes.

    Cells by which the texts differ stand in it, then the first that are not ASCII.
    """
    cells = list(islice(_foreign_cells(texts), _MAX_CELLS))
    chosen = _telling_places(len(texts), cells)
    told = {place for place, _ in chosen}
    others = [(place, 0) for place in range(min(len(cells), 2 * _CELLS)) if place not in told]
    chosen += others[: max(0, _CELLS - len(chosen))]
    return [", ".join(_shown(cells[place][number], at) for place, at in sorted(chosen)) for number in range(len(texts))]


def _foreign_cells(texts: Sequence[str]) -> Iterator[_Readings]:
    """Lines are the same in all texts. Cells are not, where one text takes a delimiter for half a letter."""
    for lines in zip(*(_LINE_ENDS.split(text) for text in texts), strict=False):
        split = [_DELIMITERS.split(line) for line in lines]
        alike = len({len(cells) for cells in split}) == 1
        for readings in zip(*split, strict=True) if alike else [lines]:
            if not all(map(str.isascii, readings)):
                yield tuple(reading.strip(' "') for reading in readings)


def _telling_places(texts: int, cells: Sequence[_Readings]) -> list[tuple[int, int]]:
    """Which cells tell all of so many texts apart, each with the place in it where that is seen."""
    chosen: list[tuple[int, int]] = []
    for one, other in combinations(range(texts), 2):
        if any(_shown(cells[place][one], at) != _shown(cells[place][other], at) for place, at in chosen):
            continue
        for place, readings in enumerate(cells):
            if readings[one] != readings[other]:
                chosen.append((place, _first_difference(readings[one], readings[other])))
                break
    return chosen


def _first_difference(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (sign, another) in pairs if sign != another), min(len(one), len(other)))


def _shown(cell: str, at: int) -> str:
    begin = 0 if at < _CELL_CHARS - 1 else at - _CHARS_BEFORE
    before, after = "\u2026" * (begin > 0), "\u2026" * (begin + _CELL_CHARS < len(cell))
    return f"{before}{cell[begin : begin + _CELL_CHARS]}{after}"
