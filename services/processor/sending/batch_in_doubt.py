"""One batch with rows in doubt: whose they are, and when they may be looked up. Times are monotonic, in seconds."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from services.processor.lane.row import Attempts, Row, State
from services.processor.lane.transitions import Next

NEVER: Final = float("inf")


class Owner(Protocol):
    """Whose a row in doubt is: its lane."""

    @property
    def ended(self) -> bool:
        """Whether the lane has another owner now, who looks the row up."""

    def may_send(self, now: float) -> bool:
        """Whether anything may be sent for it."""

    def apply(self, row: Row, attempts: Attempts, following: Next) -> None:
        """Takes what follows for the row."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Whose row it is, and when it may be looked up."""

    owner: Owner
    at: float


class DoubtCount(NamedTuple):
    """How many rows of a job are in doubt in one batch, and when the last of them may be looked up (monotonic)."""

    job_id: str
    rows: int
    last_at: float


@dataclass(slots=True)
class BatchInDoubt:
    """The rows in doubt of one batch, and its look-ups."""

    rows: dict[Row, Doubt] = field(default_factory=dict)
    #: When the next look-up may begin.
    due: float = NEVER
    #: How many look-ups in a row have failed.
    backoff_count: int = 0
    #: How many look-ups in a row did not show a hospital that was created, and when the first of them began.
    misses: int = 0
    missed_since: float = 0.0
    under_way: bool = False
    #: The hospitals that were known when the look-up under way began: it has to show them.
    known: frozenset[str] = frozenset()
    #: Kept here so that a count asks no row: the lanes of the rows, and when the last row may be looked up.
    _owners: set[Owner] = field(default_factory=set)
    _last_at: float = -NEVER

    def add(self, owner: Owner, row: Row, at: float) -> None:
        """Takes a row of a lane, which may be looked up from then on."""
        self.rows[row] = Doubt(owner, at)
        self._owners.add(owner)
        self._last_at = max(self._last_at, at)

    def postpone(self, earliest: float) -> None:
        """No row is looked up before that time."""
        self.rows = {row: Doubt(doubt.owner, max(doubt.at, earliest)) for row, doubt in self.rows.items()}
        self._last_at = max(self._last_at, earliest)

    def drop_settled(self) -> None:
        """Drops rows that are not in doubt any more, and those of lanes that have ended."""
        self.rows = {
            row: doubt for row, doubt in self.rows.items() if not doubt.owner.ended and row.state is State.IN_DOUBT
        }
        self._owners = {doubt.owner for doubt in self.rows.values()}
        self._last_at = max((doubt.at for doubt in self.rows.values()), default=-NEVER)

    def count(self) -> DoubtCount | None:
        """How many rows are in doubt, None when none is. Looks through them only when a lane of theirs has ended."""
        for owner in self._owners:
            if owner.ended:
                self.drop_settled()
                break
        row = next(iter(self.rows), None)
        # The rows that a look-up takes are those whose time has come, so the last one is among those that stay.
        return None if row is None else DoubtCount(row.event.job_id, len(self.rows), self._last_at)
