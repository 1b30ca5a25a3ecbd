"""When a lane commits, and how far ahead a commit has to permit. Pure: times are handed in, in seconds, monotonic."""

from dataclasses import dataclass

#: A lane with work commits that often in a lease, with or without results: else its permit would end.
COMMITS_PER_LEASE = 3


#: Of its time a lane spends at most one part in so many in commits: when Kafka or this processor is busy, fewer and
#: larger transactions follow instead of ever more waiting ones.
COMMIT_SHARE = 5
#: But no commit comes later than after so many intervals.
LONGEST_GAP = 5


@dataclass(slots=True)
class Cadence:
    """Not more often than the interval; with work, not more seldom than a third of the lease."""

    interval: float
    lease: float
    began: float = float("-inf")
    took: float = 0.0

    @property
    def longest_gap(self) -> float:
        """The most seconds from the beginning of a commit to that of the next, while there is something to commit."""
        return max(self.interval, min(LONGEST_GAP * self.interval, self.lease / COMMITS_PER_LEASE))

    @property
    def gap(self) -> float:
        """The seconds from the beginning of the last commit to that of the next."""
        return min(max(self.interval, COMMIT_SHARE * self.took), self.longest_gap)

    def begins(self, now: float) -> None:
        """A commit begins."""
        self.began = now

    def ends(self, now: float) -> None:
        """The commit has succeeded."""
        self.took = now - self.began

    def forget(self) -> None:
        """The next commit is due at once."""
        self.began = float("-inf")

    def pause(self, now: float) -> float:
        """How long until the next commit may begin."""
        return max(self.began + self.gap - now, 0.0)

    def renewal(self, now: float) -> float:
        """How long until a lane with work has to commit."""
        return max(self.began + self.lease / COMMITS_PER_LEASE - now, 0.0)


@dataclass(slots=True)
class Reach:
    """How many rows may be sent before the next commit: as many as its horizon has to cover.

    `rate` is the pace in calls per second, None without a limit: then twice of what was sent lately counts. `gap` is
    the most seconds from one commit to the next.
    """

    connections: int
    rate: float | None
    gap: float
    _sent: int = 0
    _sent_lately: int = 0

    def sent(self) -> None:
        """A call begins."""
        self._sent += 1

    def commit_begins(self) -> None:
        """What was sent since the last commit is what was sent lately."""
        self._sent_lately, self._sent = self._sent, 0

    @property
    def rows(self) -> int:
        """The number of rows."""
        lately = 2 * self._sent_lately if self.rate is None else int(self.rate * self.gap) + 1
        return self.connections + lately
