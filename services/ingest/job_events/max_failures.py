"""How many rows may fail before the job is stopped: a number, or a share of the job's rows."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%")
_ALL: Final = 100


@dataclass(frozen=True, slots=True)
class MaxFailures:
    """`amount` rows, or `amount` per cent of a job's rows."""

    amount: Decimal
    is_share: bool = False

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """From `50`, `0`, `5%` or `2.5%`; None when it is none of these."""
        stripped = text.strip()
        if _NUMBER.fullmatch(stripped):
            return cls(Decimal(stripped))
        if (share := _SHARE.fullmatch(stripped)) and Decimal(share[1]) <= _ALL:
            return cls(Decimal(share[1]), is_share=True)
        return None

    def rows(self, total: int) -> int:
        """Of a job of so many rows; a share is rounded down."""
        return int(self.amount * total / _ALL) if self.is_share else int(self.amount)

    def __str__(self) -> str:
        """Equal for the same, however it was written."""
        return f"{self.amount.normalize():f}{'%' if self.is_share else ''}"
