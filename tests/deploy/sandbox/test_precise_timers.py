"""The sandbox's timers are precise to a fraction of a millisecond."""

import asyncio
import time

from deploy.local.sandbox.precise_timers import precise_event_loop

DUE_SECONDS = 0.0023


async def lateness() -> float:
    began = time.monotonic()
    await asyncio.sleep(DUE_SECONDS)
    return time.monotonic() - began - DUE_SECONDS


async def many() -> list[float]:
    return [await lateness() for _ in range(100)]


def test_a_timer_is_never_early_and_seldom_late() -> None:
    """epoll alone would wait for whole milliseconds: 3 for 2.3. A busy machine delays some, but not all."""
    with asyncio.Runner(loop_factory=precise_event_loop) as runner:
        late = runner.run(many())
    assert min(late) > -1e-6
    assert min(late) < 0.0004
