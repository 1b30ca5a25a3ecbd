"""Virtual time: it passes only when everybody waits, and each machine has its own clock."""

import asyncio
import random

import pytest

from tests.simulation.virtual_loop import Machine, Spinning, VirtualLoop


@pytest.fixture
def loop():
    loop = VirtualLoop(random.Random(1))
    yield loop
    loop.close()


def test_hours_pass_at_once(loop):
    """Nobody waits for a clock."""
    loop.run_until_complete(asyncio.sleep(7200))
    assert 7200 <= loop.now < 7201


def test_a_machine_whose_clock_is_fast_wakes_early(loop):
    """Its hour is over when ours is not."""
    fast = Machine("fast", rate=1.25, monotonic_at=500.0)
    woken = []

    async def wait():
        began = loop.time()
        await asyncio.sleep(10)
        woken.append((loop.now, loop.time() - began))

    loop.start(fast, wait())
    loop.run_until_complete(asyncio.sleep(20))
    [(at, took)] = woken
    assert at == pytest.approx(8, abs=0.01)
    assert took == pytest.approx(10, abs=0.01)


def test_a_frozen_machine_does_nothing_and_then_everything(loop):
    """As after SIGSTOP and SIGCONT. The others go on meanwhile."""
    frozen, other = Machine("frozen"), Machine("other")
    ticks = {frozen.name: [], other.name: []}

    async def tick():
        while True:
            await asyncio.sleep(1)
            ticks[loop.machine.name].append(loop.now)

    async def live():
        loop.start(frozen, tick())
        loop.start(other, tick())
        await asyncio.sleep(2.5)
        loop.freeze(frozen)
        await asyncio.sleep(5)
        loop.thaw(frozen)
        await asyncio.sleep(0.2)

    loop.run_until_complete(live())
    assert len(ticks["other"]) == 7
    assert [round(at, 1) for at in ticks["frozen"]] == [1.0, 2.0, 7.5]


def test_nothing_of_a_killed_machine_runs_again(loop):
    """Not even a `finally`."""
    machine, ended = Machine("killed"), []

    async def work():
        try:
            await asyncio.sleep(1)
        finally:
            ended.append(True)

    async def live():
        task = loop.start(machine, work())
        await asyncio.sleep(0.5)
        loop.kill(machine)
        task.cancel()
        await asyncio.sleep(5)

    loop.run_until_complete(live())
    assert not ended


def test_computing_without_end_is_noticed(loop):
    """No time would ever pass."""

    async def spin():
        while True:  # noqa: ASYNC110 - that is the fault
            await asyncio.sleep(0)

    with pytest.raises(Spinning):
        loop.run_until_complete(spin())


def test_real_threads_and_names_are_refused(loop):
    """They would bring real time in."""
    with pytest.raises(RuntimeError, match="no threads"):
        loop.run_until_complete(asyncio.to_thread(print))
    with pytest.raises(RuntimeError, match="no names"):
        loop.run_until_complete(loop.getaddrinfo("kafka", 9092))
