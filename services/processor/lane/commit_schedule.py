"""When a lane commits, and how far ahead a commit has to permit. Pure: times are handed in, in seconds, monotonic."""

from dataclasses import dataclass

#: A lane with work commits this often per lease, with or without results: otherwise its permit would end.
COMMITS_PER_LEASE = 3


#: A lane spends at most one part in so many of its time in commits. When Kafka or this processor is busy, fewer and
#: larger transactions follow.
COMMIT_SHARE = 5
#: The longest time between two commits, in intervals.
LONGEST_GAP = 5


@dataclass(slots=True)
class CommitSchedule:
    """When the next commit may begin, and when it must.

    Commits are at least `interval` seconds apart. With work in the lane they are at most a third of `lease` apart.
    """

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

    def commit_begins(self, now: float) -> None:
        """A commit begins."""
        self.began = now

    def committed(self, now: float) -> None:
        """The commit that began last has succeeded."""
        self.took = now - self.began

    def seconds_until_next(self, now: float) -> float:
        """How long until the next commit may begin."""
        return max(self.began + self.gap - now, 0.0)

    def seconds_until_renewal(self, now: float) -> float:
        """How long until a lane with work has to commit."""
        return max(self.began + self.lease / COMMITS_PER_LEASE - now, 0.0)


@dataclass(slots=True)
class SendAhead:
    """How many rows may be sent before the next commit. The commit's horizon has to cover them.

    `rate` is the rate limit in calls per second. None means no limit: then twice the number of rows sent between the
    last two commits counts. `gap` is the most seconds from one commit to the next.
    """

    connections: int
    rate: float | None
    gap: float
    _sent: int = 0
    _sent_before: int = 0

    def sent(self) -> None:
        """A call begins."""
        self._sent += 1

    def commit_begins(self) -> None:
        """Starts the count for the time between this commit and the next."""
        self._sent_before, self._sent = self._sent, 0

    @property
    def rows(self) -> int:
        """The number of rows."""
        expected = 2 * self._sent_before if self.rate is None else int(self.rate * self.gap) + 1
        return self.connections + expected
