"""Several processors share the slots of a rate limit: all of it is used by those with work, and never more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.processor.slot_world import SlotProcessor, SlotWorld


async def test_a_lone_row_begins_at_the_next_slot():
    """At 30 a minute and with 50 processors it waited for its own processor's slot, up to 105 s."""
    world = SlotWorld(30, 60.0, 50)
    processors = [SlotProcessor(world, f"p{index}", wants=False) for index in range(50)]
    async with world.running(*processors):
        await world.pass_time(6)
        for processor in processors[::10]:
            processor.wants = "once"
            await world.pass_time(7.3)
        waits = [wait for processor in processors for wait in processor.waits]
    assert len(waits) == 5
    assert max(waits) < 2.1 + 0.3


@pytest.mark.parametrize("processors", [1, 3])
async def test_those_with_work_use_all_of_the_limit(processors):
    """Whoever is idle, or gone, has no share."""
    world = SlotWorld(10, 1.0)
    working = [SlotProcessor(world, f"p{index}") for index in range(processors)]
    idle = [SlotProcessor(world, f"idle{index}", wants=False) for index in range(3)]
    async with world.running(*working, *idle):
        await world.pass_time(30)
        shares = [world.made_by(processor, since=10) for processor in working]
    assert sum(shares) >= 20 * 10 / 1.05 - 2
    assert max(shares) - min(shares) <= 6
    assert world.most_in_a_period() <= 10


async def test_a_newcomer_gets_its_share_within_seconds():
    """What has been given away already is for others."""
    world = SlotWorld(10, 1.0)
    first, second = SlotProcessor(world, "p1"), SlotProcessor(world, "p2", wants=False)
    async with world.running(first, second):
        await world.pass_time(10)
        second.wants = True
        await world.pass_time(10)
        assert second.waits[0] < 4.5
        assert world.made_by(second, since=15) > 20


async def test_a_dead_processor_has_no_share_any_more():
    """After twelve seconds of silence."""
    world = SlotWorld(10, 1.0)
    first, second = SlotProcessor(world, "p1"), SlotProcessor(world, "p2")
    async with world.running(first, second):
        await world.pass_time(10)
        first.kill()
        await world.pass_time(30)
        assert world.made_by(second, since=28) >= 12 * 10 / 1.05 - 2


async def test_one_that_does_not_take_part_keeps_its_lanes_share():
    """Version 0.1.0, or a processor with another limit: it uses the slots of its lanes without asking anybody."""
    world = SlotWorld(10, 1.0, 6)
    processor, other = SlotProcessor(world, "p1"), SlotProcessor(world, "p2", rate=20, lanes=(1, 2, 3, 4))
    async with world.running(processor):
        for _ in range(20):
            processor.limit.apply(other.report())
            await world.pass_time(1)
        assert world.made_by(processor, since=10) == pytest.approx(10 * 10 / 1.05 / 3, abs=2)


@pytest.mark.parametrize("ahead", [-3600.0, -3.0, 0.4, 3.0, 3600.0, 1e7])
async def test_clocks_that_are_apart_let_no_call_too_many_through(ahead):
    """Who hears of a later time goes on from there, so all count in one time. Work comes and goes on both."""
    world = SlotWorld(10, 1.0)
    right, wrong = SlotProcessor(world, "p1"), SlotProcessor(world, "p2", ahead=ahead, wants=False)
    async with world.running(right, wrong):
        for step in range(24):
            await world.pass_time(2.3)
            right.wants, wrong.wants = step % 3 != 1, step % 2 == 0
        assert world.made_by(right) > 80
        assert world.made_by(wrong) > 80
    assert world.most_in_a_period() <= 10


async def test_a_clock_that_is_put_forward_while_others_call_lets_no_call_too_many_through():
    """And one that is put back changes nothing."""
    world = SlotWorld(10, 1.0)
    processors = [SlotProcessor(world, f"p{index}") for index in range(3)]
    async with world.running(*processors):
        for seconds in (0, 0.37, 1800.0, -7200.0, 5.05, 10000.0):
            processors[1].ahead += seconds
            await world.pass_time(7)
    assert world.most_in_a_period() <= 10
    assert len(world.calls) > 42 * 10 / 1.05 * 0.85


SECONDS = st.floats(0, 20)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["freeze", "thaw", "work", "rest", "read late", "write late", "kill", "start"]),
              st.integers(0, 3), SECONDS),
    max_size=25,
)  # fmt: skip


@given(EVENTS)
@settings(max_examples=40)
async def test_no_window_sees_more_than_the_limit(events):
    """However long a processor is frozen, however late its reports are read and written, whoever dies and starts."""
    world = SlotWorld(5, 1.0)
    processors = [SlotProcessor(world, f"p{index}") for index in range(4)]
    async with world.running(*processors):
        for number, (what, index, seconds) in enumerate(events):
            processor = processors[index]
            match what:
                case "freeze" | "thaw":
                    processor.frozen = what == "freeze"
                case "work" | "rest":
                    processor.wants = what == "work"
                case "read late":
                    processor.reads_late = seconds / 2
                case "write late":
                    processor.writes_late = seconds / 2
                case _:
                    processor.kill()
                    processors[index] = SlotProcessor(world, f"p{index}-{number}")
                    processors[index].start()
            await world.pass_time(seconds / 4)
    assert world.most_in_a_period() <= 5
