"""What goes wrong with requests to Kafka and with calls to the directory, and how often: by the seed.

The weather changes every few seconds, from calm to storm, and lasts until it is told to clear up.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.simulation.kafka.server import Fate
from tests.simulation.processors.directory import CREATE, LOOK_UP, CallFate

COORDINATOR_NOT_AVAILABLE: Final = 15
NOT_COORDINATOR: Final = 16
COORDINATOR_LOADING: Final = 14
NOT_LEADER: Final = 6
CONCURRENT_TRANSACTIONS: Final = 51

#: Which errors aiokafka can be given, by the request's API key.
_CODES: Final[dict[int, tuple[int, ...]]] = {
    0: (NOT_LEADER,),
    8: (COORDINATOR_NOT_AVAILABLE,),
    10: (COORDINATOR_NOT_AVAILABLE,),
    11: (COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, COORDINATOR_LOADING),
    12: (COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR),
    14: (COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR),
    22: (COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, COORDINATOR_LOADING, CONCURRENT_TRANSACTIONS),
    24: (COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, COORDINATOR_LOADING, CONCURRENT_TRANSACTIONS),
    25: (COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, COORDINATOR_LOADING, CONCURRENT_TRANSACTIONS),
    26: (COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, COORDINATOR_LOADING, CONCURRENT_TRANSACTIONS),
    28: (COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, COORDINATOR_LOADING),
}
#: Transactional requests meet trouble more often than others: they are few, and most depends on them.
_TRANSACTIONAL: Final = frozenset({0, 22, 24, 25, 26, 28})
_END_TRANSACTION: Final = 26


class Weather:
    """How likely each request and call meets trouble. `kafka` and `directory`: the levels of this run's storms."""

    def __init__(
        self,
        chance: random.Random,
        now: Callable[[], float],
        *,
        kafka: float,
        directory: float,
        timeout: float,
        lateness: int = 1,
    ) -> None:
        self.faults: Counter[str] = Counter()
        self._chance = chance
        self._now = now
        self._storms = {"kafka": kafka, "directory": directory}
        self._levels = {"kafka": 0.0, "directory": 0.0}
        self._changes_at = 0.0
        self._timeout = timeout
        self._lateness = lateness
        self._clear = False
        #: Storms that every call of a kind meets in the same way, such as a wrong token.
        self._same: CallFate | None = None

    def clear_up(self) -> None:
        """Nothing goes wrong from now on."""
        self._clear = True

    def _level(self, what: str) -> float:
        if self._clear:
            return 0.0
        if self._now() >= self._changes_at:
            chance = self._chance
            self._changes_at = self._now() + chance.choice((0.5, 2.0, 5.0))
            self._levels = {name: storm * chance.choice((0.0, 0.1, 0.3, 1.0)) for name, storm in self._storms.items()}
            self._same = self._any_fate(CREATE) if chance.random() < 0.1 else None
        return self._levels[what]

    # ---- Kafka -------------------------------------------------------------------------------------------------------

    def with_request(self, machine: str, api: int) -> Fate | None:
        """What happens to a request to Kafka."""
        level = self._level("kafka")
        if not level or self._chance.random() >= level * (1.0 if api in _TRANSACTIONAL else 0.2):
            return None
        fate = self._fate(api)
        self.faults[f"kafka {fate.name}"] += 1
        return fate

    def _fate(self, api: int) -> Fate:
        chance = self._chance
        kinds = ["break before", "break after", "slow"] + (["refused"] if api in _CODES else [])
        if api in _TRANSACTIONAL:
            kinds += ["silent", "late"]
        if api == _END_TRANSACTION:
            kinds += ["late", "late", "silent", "break after"]
        match chance.choice(kinds):
            case "break before":
                return Fate("broken before", break_before=True)
            case "break after":
                return Fate("broken after", break_after=True)
            case "silent":
                return Fate("never answered", silent=True)
            case "late":
                return Fate("late", delay=chance.uniform(3.0, 16.0))
            case "refused":
                return Fate("refused", code=chance.choice(_CODES[api]))
            case _:
                return Fate("slow", delay=chance.choice((0.02, 0.2, 1.0, 3.0)) * chance.random())

    # ---- the directory -----------------------------------------------------------------------------------------------

    def with_call(self, machine: str, kind: str) -> CallFate | None:
        """What happens to a call to the directory."""
        level = self._level("directory")
        if not level:
            return None
        if self._same is not None and kind == CREATE:
            self.faults[f"directory {self._same.name}"] += 1
            return self._same
        if self._chance.random() >= level:
            return None
        fate = self._any_fate(kind)
        self.faults[f"directory {fate.name}"] += 1
        return fate

    def _any_fate(self, kind: str) -> CallFate:
        chance = self._chance
        usual = 201 if kind == CREATE else 200
        soon, long = chance.random() * 0.1, chance.uniform(0.3, 1.6) * self._timeout
        whether = chance.choice(("now", "later", "never"))
        fates = [
            CallFate("slow", status=usual, delay=long),
            CallFate("never answered", creates=whether, status=None),
            CallFate("reset", creates=whether, resets=True, delay=soon),
            CallFate("500", creates=chance.choice(("now", "never")), status=500, delay=soon),
            CallFate("502", creates=whether, status=502, delay=soon),
            CallFate("503", creates=whether, status=503, delay=soon, retry_after=chance.choice((None, 1, 2))),
            CallFate("504", creates="later", status=504, delay=long),
            CallFate("429", creates="never", status=429, retry_after=chance.choice((None, 1))),
            CallFate("401", creates="never", status=401),
            CallFate("403 page", creates="never", status=403, body="page"),
            CallFate("404 page", creates="never", status=404, body="page"),
            CallFate("page", creates="never", status=200, body="page"),
            CallFate("302", creates="never", status=302),
        ]
        if kind == CREATE:
            fates += [
                CallFate("no id", status=200, body="no_id", delay=soon),
                CallFate("422", creates="never", status=422),
            ]
            fates += [
                CallFate("never answered", creates="later", status=None),
                CallFate("reset", creates="later", resets=True, delay=soon),
                CallFate("503", creates="later", status=503, delay=soon),
            ] * (2 * self._lateness)
        if kind == LOOK_UP:
            fates += [CallFate("part", status=200, body="part", delay=soon)] * 2
        return chance.choice(fates)
