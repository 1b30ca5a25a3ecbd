"""Whether a result file is what its job finished with, by the job's receipt. Nobody is asked.

The receipt has the root of a Merkle tree (RFC 6962) over the rows of each outcome. A leaf is SHA-256 of a byte 0 and
the row as compact JSON: [row, status, hospital_id, cells…], without the empty cells at its end.
"""

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from client.schemas import Receipt

_OUTCOMES: Final = ("created", "failed", "unprocessed")
_DELIMITERS: Final = (",", ";", "\t")
_OURS: Final = "result_"
_NEEDED: Final = ("result_row", "result_status", "result_hospital_id")
#: How a cell begins that the service guards with an apostrophe.
_GUARDED: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
csv.field_size_limit(1 << 30)


class NotAResultFile(ValueError):
    """The file cannot be checked. The text says why."""


@dataclass(frozen=True, slots=True)
class CheckedOutcome:
    """The rows of one outcome in a file. `same`: they are all of them, as the job finished with them.

    `rows` is 0 where the file has none of an outcome that the job has.
    """

    outcome: str
    rows: int
    same: bool


def is_whole(receipt: Receipt) -> bool:
    """Whether the receipt's own hashes agree: nobody has changed one of them alone."""
    roots = b"".join(bytes.fromhex(receipt.outcome_roots.of(outcome)) for outcome in _OUTCOMES)
    return hashlib.sha256(b"\2" + roots).hexdigest() == receipt.outcomes_root


def check(path: Path, receipt: Receipt) -> list[CheckedOutcome]:
    """What the file holds of each outcome that it or the job has. Raises NotAResultFile, OSError.

    A file of a single outcome may be `successful.csv` or another part: then the others are not expected.
    """
    leaves: dict[str, dict[int, bytes]] = {outcome: {} for outcome in _OUTCOMES}
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            for row, outcome, leaf in _leaves(text):
                if outcome not in leaves or row in leaves[outcome]:
                    raise NotAResultFile(f"row {row} is there twice, or its result_status is none of the service's")
                leaves[outcome][row] = leaf
    except (UnicodeDecodeError, csv.Error) as error:
        raise NotAResultFile("it is no CSV file in UTF-8 as the service writes it") from error
    found = {outcome: [leaf for _, leaf in sorted(of_outcome.items())] for outcome, of_outcome in leaves.items()}
    is_part = sum(map(bool, found.values())) <= 1
    return [
        CheckedOutcome(outcome, len(hashes), _root(hashes).hex() == receipt.outcome_roots.of(outcome))
        for outcome, hashes in found.items()
        if hashes or not (is_part or receipt.outcome_roots.of(outcome) == _root([]).hex())
    ]


def _leaves(text: TextIO) -> Iterator[tuple[int, str, bytes]]:
    """Row, outcome and leaf of each line."""
    delimiter = _delimiter(text.readline())
    text.seek(0)
    rows = csv.reader(text, delimiter=delimiter)
    header = next(rows, [])
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise NotAResultFile(f"it has no column {missing[0]}: only a result file can be checked")
    row_at, status_at, hospital_at = (header.index(name) for name in _NEEDED)
    own = [index for index, name in enumerate(header) if not name.startswith(_OURS)]
    for cells in rows:
        cells += [""] * (len(header) - len(cells))
        if not cells[row_at].isdecimal():
            raise NotAResultFile(f"a result_row is {cells[row_at][:20]!r}, which is no row")
        outcome = "created" if cells[status_at] == "created_and_activated" else cells[status_at]
        hospital_id = _unguarded(cells[hospital_at]) if outcome == "created" else ""
        row = int(cells[row_at])
        yield row, outcome, _leaf(row, outcome, hospital_id, [cells[index] for index in own])


def _delimiter(header: str) -> str:
    """The one that stands around our columns."""
    return next((each for each in _DELIMITERS if f"{each}result_status{each}" in header), ",")


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_GUARDED) else cell


def _leaf(row: int, outcome: str, hospital_id: str, cells: Sequence[str]) -> bytes:
    width = len(cells)
    while width and not cells[width - 1]:
        width -= 1
    text = json.dumps([row, outcome, hospital_id, *cells[:width]], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(b"\0" + text.encode()).digest()


def _root(hashes: Sequence[bytes]) -> bytes:
    """The root of a tree over hashes of leaves: neighbours are joined, level by level; the last may have none."""
    if not hashes:
        return hashlib.sha256().digest()
    level = list(hashes)
    while len(level) > 1:
        pairs = [
            hashlib.sha256(b"\1" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    return level[0]
