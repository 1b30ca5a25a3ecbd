"""Who waits for a turn, for how long, and what those are told who do not get one."""

import asyncio
import contextlib

import pytest

from services.ingest.keys.database import DatabaseDown
from services.ingest.upload import admission_queue as lines
from services.ingest.upload.admission_queue import Turns
from shared.runtime.problems import KAFKA_DOWN, Problem


@pytest.fixture
def short(monkeypatch):
    """Patience of a twentieth of a second."""
    monkeypatch.setattr(lines, "PATIENCE_SECONDS", 0.05)


async def taken(turns: Turns) -> bool:
    """A turn, taken and given back: whether it was one of many."""
    async with turns.take() as turn:
        return turn.is_one_of_many


async def test_where_nobody_gets_through_it_is_kafka(short):
    """All turns hang, and the one who waits cannot know more."""
    turns = Turns(1)
    async with turns.take():
        with pytest.raises(Problem, match=KAFKA_DOWN):
            await taken(turns)


async def test_where_others_get_through_it_is_the_crowd(monkeypatch):
    """The queue is not down, and nobody says so."""
    monkeypatch.setattr(lines, "PATIENCE_SECONDS", 0.3)
    turns, first, second = Turns(1), asyncio.Event(), asyncio.Event()

    async def holds(until: asyncio.Event) -> None:
        async with turns.take():
            await until.wait()

    holding = [asyncio.create_task(holds(until)) for until in (first, second)]
    await asyncio.sleep(0)
    waiting = asyncio.create_task(taken(turns))
    await asyncio.sleep(0)
    first.set()

    with pytest.raises(Problem) as refusal:
        await waiting

    assert refusal.value.error_type == "busy"
    second.set()
    await asyncio.gather(*holding)


async def test_a_turn_that_ended_with_503_is_nobody_getting_through(short):
    """Else one who was told to come back would be the reason to tell the next that it is only the crowd."""
    turns, refused = Turns(1), asyncio.Event()

    async def is_refused() -> None:
        async with turns.take():
            await refused.wait()
            raise lines.busy()

    failing = asyncio.create_task(is_refused())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(taken(turns))
    await asyncio.sleep(0)
    refused.set()

    assert not await waiting
    with pytest.raises(Problem):
        await failing


async def test_who_waited_while_others_got_through_is_one_of_many():
    """And who did not wait is not, whatever others do."""
    turns = Turns(1)
    async with turns.take() as turn:
        waiting = asyncio.create_task(taken(turns))
        await asyncio.sleep(0)
        assert not turn.is_one_of_many

    assert await waiting


@pytest.mark.parametrize(
    ("at_a_time", "seconds", "fits"),
    [(1, 0.001, lines.LONGEST_LINE), (1, 10.0, lines.SHORTEST_LINE), (1, 0.06, 80), (2, 0.06, 80)],
    ids=["quick", "slow", "alone", "two"],
)
async def test_the_line_is_as_long_as_the_pace_allows(monkeypatch, at_a_time, seconds, fits):
    """A fast service lets many wait; one that is slow refuses them at once, while they can still be told in time."""
    turns = Turns(at_a_time)
    await spend(turns, [seconds] * 100, at_a_time, monkeypatch)

    turns._waiting = fits - 1
    assert not turns.line_is_full
    turns._waiting = fits + 1
    assert turns.line_is_full


async def test_a_single_slow_turn_is_no_slow_pace(monkeypatch):
    """The end of a large upload held it up; the crowd that comes next need not be sent away for that."""
    turns = Turns(1)
    await spend(turns, [0.06] * 100 + [1.2], 1, monkeypatch)
    turns._waiting = 60
    assert not turns.line_is_full

    await spend(turns, [1.2] * 10, 1, monkeypatch)
    assert turns.line_is_full


async def spend(turns, times, at_a_time, monkeypatch):
    """Lets so many at a time take turns of these seconds, one after the other."""
    clock = 0.0
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "time", lambda: clock)
        for seconds in times:
            side_by_side = [turns.take() for _ in range(at_a_time)]
            for turn in side_by_side:
                await turn.__aenter__()
            clock += seconds
            for turn in side_by_side:
                await turn.__aexit__(None, None, None)


async def test_who_cannot_even_wait_is_told_why():
    """The crowd, as long as others get through; else what kept the latest one from it."""
    turns = Turns(1)
    assert problem(turns).error_type == "busy"

    with contextlib.suppress(DatabaseDown):
        async with turns.take():
            raise DatabaseDown("no answer")
    assert isinstance(turns.refusal(), DatabaseDown)

    async with turns.take():
        pass
    assert problem(turns).error_type == "busy"


async def test_a_file_that_is_refused_got_through():
    """Its 400 is an answer."""
    turns = Turns(1)
    with contextlib.suppress(Problem):
        async with turns.take():
            raise Problem(400, "invalid_file", "x")

    assert turns.through == 1
    assert problem(turns).error_type == "busy"


def problem(turns: Turns) -> Problem:
    """The refusal, when it is one for the client."""
    refusal = turns.refusal()
    assert isinstance(refusal, Problem)
    return refusal
