"""What became of a job's rows, in one hash: by `JobFinished.outcomes_sha256` a reader sees that it has all of them.

2:created:1017
3:failed:
4:unprocessed:
"""

import hashlib
from typing import Literal

Status = Literal["created", "failed", "unprocessed"]


class OutcomesDigest:
    """SHA-256 over a line for each row, in ascending order of the rows; it holds no rows, however many there are."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._last = 0

    def add(self, row: int, status: Status, hospital_id: int | str | None = None) -> None:
        """The next row, as its last round left it. `hospital_id` only of a created one. Raises ValueError when the

        row does not come after the one before: another order gives another hash.
        """
        if row <= self._last:
            raise ValueError(f"row {row} after row {self._last}")
        self._last = row
        self._hash.update(f"{row}:{status}:{'' if hospital_id is None else hospital_id}\n".encode())

    def hexdigest(self) -> str:
        """The hash of the rows so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()
