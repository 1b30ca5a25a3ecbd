"""Which calls are tried again, how often and for how long, by a fake clock."""

import pytest

from client.errors import Busy, NeverSent, NoAnswer, Refused, TryAgain
from client.retry import RetryPolicy
from client.schemas import Problem


class Clock:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def policy(clock):
    return RetryPolicy(sleep=clock.sleep, clock=lambda: clock.now)


def calls(*answers):
    """A call that gives these answers in order and repeats the last one."""
    left = list(answers)

    def call():
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


@pytest.mark.parametrize("error", [NeverSent("no"), Busy("no"), NoAnswer("no")])
def test_an_idempotent_call_is_tried_again(policy, error):
    """Until it is answered."""
    assert policy.call_idempotent(calls(error, error, "yes")) == "yes"


def test_a_call_that_may_have_had_an_effect_is_not_repeated(policy, clock):
    """A retry of a job, for example: when its answer was lost, the second one would be refused."""
    with pytest.raises(NoAnswer):
        policy.call_once(calls(NoAnswer("lost"), "yes"))
    assert clock.slept == []
    assert policy.call_once(calls(Busy("no"), NeverSent("no"), "yes")) == "yes"


def test_a_refused_call_is_not_repeated(policy, clock):
    """The same would be said again."""
    with pytest.raises(Refused):
        policy.call_idempotent(calls(Refused(400, Problem(detail="no")), "yes"))
    assert clock.slept == []


def test_pauses_grow_and_are_never_shorter_than_retry_after(policy, clock):
    """Retry-After is a lower bound."""
    policy.call_idempotent(calls(*[NoAnswer("no")] * 6, Busy("no", retry_after=30), "yes"))
    assert clock.slept == [0.5, 1, 2, 4, 8, 10, 30]


def test_each_pause_is_reported_with_its_reason(policy):
    """So that a person who waits knows why."""
    pauses = []
    policy.call_idempotent(
        calls(Busy("no", retry_after=3), "yes"), lambda error, pause: pauses.append((str(error), pause))
    )
    assert pauses == [("no", 3.0)]


def test_a_service_that_was_never_reached_is_given_up_soon(policy, clock):
    """It may be wrong, and nothing was sent."""
    with pytest.raises(NeverSent) as raised:
        policy.call_idempotent(calls(NeverSent("no")))
    assert clock.now <= 5
    assert not raised.value.may_have_happened


@pytest.mark.parametrize("before", ["answered", "busy", "no answer"])
def test_a_service_that_was_reached_before_is_waited_for(policy, clock, before):
    """It may just be restarting."""
    first = {"answered": "yes", "busy": Busy("no"), "no answer": NoAnswer("no")}[before]
    if before == "answered":
        policy.call_idempotent(calls(first))
    with pytest.raises(NeverSent) as raised:
        policy.call_idempotent(calls(first, NeverSent("no")) if before != "answered" else calls(NeverSent("no")))
    assert 100 <= clock.now <= 120
    assert raised.value.may_have_happened is (before != "answered")


def test_a_retry_after_beyond_the_time_limit_is_not_waited_for(policy, clock):
    """It says so at once instead."""
    with pytest.raises(TryAgain):
        policy.call_idempotent(calls(Busy("no", retry_after=121), "yes"))
    assert clock.slept == []
