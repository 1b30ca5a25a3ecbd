"""One budget for all that an HTTP request waits for."""

import asyncio

import pytest

from shared.runtime.http.answer_budget import AnswerBudget


class Clock:
    """A clock that a test sets."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_what_a_step_takes_is_missing_for_the_next():
    """And nothing is ever less than nothing."""
    clock = Clock()
    budget = AnswerBudget(2.0, clock)
    assert budget.remaining == 2.0
    clock.seconds += 1.5
    assert budget.remaining == 0.5
    clock.seconds += 1.5
    assert budget.remaining == 0.0


async def test_a_step_that_takes_longer_is_given_up():
    """With TimeoutError, which callers turn into a 503."""
    budget = AnswerBudget(0.05)
    with pytest.raises(TimeoutError):
        await budget.run(asyncio.sleep(60))
    assert budget.remaining == 0.0


async def test_a_step_may_be_given_less():
    """The rest is left for the steps after it."""
    budget = AnswerBudget(60.0)
    with pytest.raises(TimeoutError):
        await budget.run(asyncio.sleep(60), at_most=0.01)
    assert budget.remaining > 50


async def test_a_step_in_time_returns_its_value():
    """Whatever that is."""

    async def work() -> str:
        return "done"

    assert await AnswerBudget(5.0).run(work()) == "done"
