"""The bytes that the rows of a process may take: waiting, in flight, in doubt, and done until their commit returns.

Bulk rows stop at three quarters, so express rows need not wait for them. A lane stops at a quarter, so no lane waits
for another that stands still. A lane without a row of a kind may take one all the same: so nothing waits for ever.
"""

from collections.abc import Iterable

from services.processor.memory.sizes import BULK_SHARE, LANE_LIMIT, LANE_SHARE, LARGEST_CHARGE


class MemoryBudget:
    """All rows of a process. `limit`: in bytes; together they exceed it by one express and one bulk row a lane."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lane_limit = min(int(limit * LANE_SHARE), LANE_LIMIT)
        #: What all lanes hold.
        self.held = 0

    def lane(self) -> "LaneMemory":
        """The part of one ownership of a lane, which holds nothing yet."""
        return LaneMemory(self)

    def largest_records(self, *, express: bool) -> int:
        """How many of the largest records still fit."""
        return max(_share(self.limit, express=express) - self.held, 0) // LARGEST_CHARGE


class LaneMemory:
    """What one ownership of a lane holds. It has to be closed: then all of it is free again."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._held = {True: 0, False: 0}  # by express
        self._closed = False

    @property
    def held(self) -> int:
        """The bytes of all its rows."""
        return sum(self._held.values())

    def has_room(self, *, express: bool) -> bool:
        """Whether any record may be delivered, however large."""
        return not self._held[express] or self._left(express=express) >= LARGEST_CHARGE

    def fitting(self, charges: Iterable[int], *, express: bool) -> int:
        """How many of these records may be taken, from the first on. Always one, if it holds none of its kind."""
        left, count = self._left(express=express), 0
        for charge in charges:
            left -= charge
            if left < 0 and (count or self._held[express]):
                break
            count += 1
        return count

    def take(self, charge: int, *, express: bool) -> None:
        """A record has been taken in."""
        if not self._closed:
            self._held[express] += charge
            self._budget.held += charge

    def give_back(self, charge: int, *, express: bool) -> None:
        """A record is done with, and its result is committed."""
        self.take(-charge, express=express)

    def close(self) -> None:
        """The lane has dropped its rows. What it takes or gives back from now on does not count."""
        self._closed = True
        self._budget.held -= self.held
        self._held = {True: 0, False: 0}

    def _left(self, *, express: bool) -> int:
        budget = self._budget
        return min(
            _share(budget.limit, express=express) - budget.held, _share(budget.lane_limit, express=express) - self.held
        )


def _share(limit: int, *, express: bool) -> int:
    return limit if express else int(limit * BULK_SHARE)
