"""What kinds of seeds there are: which part of the product runs, and in what kind of trouble."""

import random
from collections import Counter
from typing import Any, Final, Protocol

from tests.simulation.processors.plans import make_plan, short
from tests.simulation.processors.scenarios import SCENARIOS
from tests.simulation.processors.troubles import ProcessorWorld
from tests.simulation.projections.world import ProjectionWorld
from tests.simulation.uploads.world import UploadWorld
from tests.simulation.virtual_loop import VirtualLoop
from tests.support.history import Violation

UPLOADS: Final = "uploads"
PROJECTIONS: Final = "projections"
#: How often each kind is chosen.
KINDS: Final[dict[str, int]] = {scenario.name: scenario.weight for scenario in SCENARIOS} | {UPLOADS: 5, PROJECTIONS: 4}


class Simulated(Protocol):
    """One simulation, before it runs and afterwards."""

    trace: list[tuple[float, str, str]]
    crashes: list[Violation]

    @property
    def rows(self) -> int:
        """How many rows there were."""

    async def live(self) -> bool:
        """Everything that happens. Returns whether it has ended."""

    def check(self, *, complete: bool) -> list[Violation]:
        """The broken promises."""

    def note(self, text: str) -> None:
        """For the trace."""

    def what_happened(self) -> Counter[str]:
        """Everything that went wrong, or was done to it."""

    def digest(self) -> str:
        """What two runs of a seed have in common."""

    def dispose(self) -> list[Any]:
        """Nothing of it ever runs again. Returns what must not be freed."""


def kind_of(seed: int) -> str:
    """What a seed is about."""
    return random.Random(f"kind {seed}").choices(list(KINDS), list(KINDS.values()))[0]


def make_world(seed: int, loop: VirtualLoop, chance: random.Random, *, in_short: bool) -> Simulated:
    """The simulation of a seed."""
    kind = kind_of(seed)
    if kind == UPLOADS:
        return UploadWorld(loop, chance)
    if kind == PROJECTIONS:
        return ProjectionWorld(loop, chance)
    plan = make_plan(next(scenario for scenario in SCENARIOS if scenario.name == kind), chance)
    return ProcessorWorld(loop, short(plan) if in_short else plan, chance)
