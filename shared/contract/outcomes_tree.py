"""What became of a job's rows as Merkle trees: who has the roots can check any result file, without asking anybody.

There is a tree for each outcome, as RFC 6962 defines it (2.1), over the rows of that outcome in ascending order:

    leaf   SHA-256 of a byte 0 and the row: JSON as JavaScript's JSON.stringify writes it, in UTF-8
           [row, status, hospital_id, cell, …]; hospital_id is text, "" where there is none, and empty last cells are
           left out
    node   SHA-256 of a byte 1 and the two hashes below it
    empty  SHA-256 of nothing

`JobFinished.outcomes_root` is the SHA-256 of a byte 2 and the roots of created, failed and unprocessed rows.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Final, Literal

from shared.contract.events import OutcomeRoots

Status = Literal["created", "failed", "unprocessed"]
STATUSES: Final[tuple[Status, ...]] = ("created", "failed", "unprocessed")


class MerkleTree:
    """A tree that grows by its leaves. It holds a hash for each level, however many leaves there are."""

    def __init__(self) -> None:
        #: How many leaves are below a node, and its hash: ever smaller ones.
        self._nodes: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        """The next leaf."""
        size, node = 1, hashlib.sha256(b"\0" + leaf).digest()
        while self._nodes and self._nodes[-1][0] == size:
            node = _node(self._nodes.pop()[1], node)
            size *= 2
        self._nodes.append((size, node))

    def root(self) -> bytes:
        """The hash over all leaves so far."""
        if not self._nodes:
            return hashlib.sha256().digest()
        *others, (_, root) = self._nodes
        for _, node in reversed(others):
            root = _node(node, root)
        return root


class OutcomesTree:
    """The trees of one job, for rows in ascending order."""

    def __init__(self) -> None:
        self._trees = {status: MerkleTree() for status in STATUSES}

    def add(self, row: int, status: Status, hospital_id: int | str | None, cells: Sequence[str]) -> None:
        """The next row, as its last round left it. `cells`: as uploaded, in the order of JobAccepted.columns."""
        self._trees[status].add(leaf(row, status, hospital_id, cells))

    def roots(self) -> OutcomeRoots:
        """The root of each outcome's rows."""
        return OutcomeRoots(**{status: tree.root().hex() for status, tree in self._trees.items()})


def leaf(row: int, status: Status, hospital_id: int | str | None, cells: Sequence[str]) -> bytes:
    """A row as a leaf."""
    width = len(cells)
    while width and not cells[width - 1]:
        width -= 1
    known = "" if hospital_id is None else str(hospital_id)
    return json.dumps([row, status, known, *cells[:width]], ensure_ascii=False, separators=(",", ":")).encode()


def outcomes_root(roots: OutcomeRoots) -> str:
    """The one hash over all of them, 64 hexadecimal digits."""
    parts = (bytes.fromhex(getattr(roots, status)) for status in STATUSES)
    return hashlib.sha256(b"\2" + b"".join(parts)).hexdigest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
