"""What chaos tests share: systems with topics of their own, a seed, and a line per promise that was kept."""

import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.chaos.size import FASTER_SETTINGS, FULL, ROUNDS
from tests.support.processor.processor_system import ProcessorSystem

Kept = Callable[[str], None]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """CHAOS_ROUNDS repeats every test, because the moment of a fault is random."""
    if ROUNDS > 1 and "chaos_round" in metafunc.fixturenames:
        metafunc.parametrize("chaos_round", range(1, ROUNDS + 1), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The full size takes longer than an ordinary test may. What is tested here runs in processes of its own."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.no_cover)
            if FULL:
                item.add_marker(pytest.mark.timeout(900))


@pytest.fixture
def kept(request: pytest.FixtureRequest, chaos_round: int) -> Kept:
    """Says that a promise was kept, with figures; shown at the end of the run."""
    prefix = f"round {chaos_round}: " if ROUNDS > 1 else ""
    return lambda line: request.node.user_properties.append(("kept", prefix + line))


@pytest.fixture
def chaos_round(request: pytest.FixtureRequest) -> int:
    """Which of the CHAOS_ROUNDS this is."""
    return getattr(request, "param", 1)


@pytest.fixture
def chance(chaos_round: int) -> random.Random:
    """A random generator. Its seed is printed when a test fails; CHAOS_SEED repeats it."""
    seed = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
    print(f"CHAOS_SEED={seed} (round {chaos_round})")
    return random.Random(seed)


@pytest.fixture
async def make_system(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Callable[..., ProcessorSystem]]:
    """A factory of systems on the shared broker: `system = await make_system(LEASE_SECONDS="1")`."""
    async with AsyncExitStack() as stack:

        async def make(bootstrap: str = kafka_bootstrap, **environment: str) -> ProcessorSystem:
            return await stack.enter_async_context(ProcessorSystem(bootstrap, topic_prefix, tmp_path, **environment))

        yield make


@pytest.fixture
async def system(make_system: Callable[..., ProcessorSystem]) -> ProcessorSystem:
    """A system with short lease, settle time and session time-out, and no rate limit."""
    return await make_system(**FASTER_SETTINGS)
