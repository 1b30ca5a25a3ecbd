"""What is tried again, how often and for how long; the clock is a list."""

import pytest

from client.errors import Busy, NeverSent, NoAnswer, Refused, TryAgain
from client.retry import Patience
from client.schemas import Problem


class Clock:
    """Sleeping moves it on."""

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
def patience(clock):
    return Patience(sleep=clock.sleep, clock=lambda: clock.now)


def calls(*answers):
    """A call that answers so, the last one again and again."""
    left = list(answers)

    def call():
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


@pytest.mark.parametrize("setback", [NeverSent("no"), Busy("no"), NoAnswer("no")])
def test_what_is_harmless_is_tried_again(patience, setback):
    """Until it is answered."""
    assert patience.harmless(calls(setback, setback, "yes")) == "yes"


def test_what_may_have_happened_is_not_repeated_where_that_does_harm(patience, clock):
    """A retry of a job, for example: its answer was lost, and the next would say that it makes no sense."""
    with pytest.raises(NoAnswer):
        patience.careful(calls(NoAnswer("lost"), "yes"))
    assert clock.slept == []
    assert patience.careful(calls(Busy("no"), NeverSent("no"), "yes")) == "yes"


def test_a_last_word_is_not_argued_with(patience, clock):
    """The same would be said again."""
    with pytest.raises(Refused):
        patience.harmless(calls(Refused(400, Problem(detail="no")), "yes"))
    assert clock.slept == []


def test_pauses_grow_and_the_services_wish_is_obeyed(patience, clock):
    """Retry-After is a lower bound."""
    patience.harmless(calls(*[NoAnswer("no")] * 6, Busy("no", retry_after=30), "yes"))
    assert clock.slept == [0.5, 1, 2, 4, 8, 10, 30]


def test_each_pause_is_told_with_its_reason(patience):
    """So that a person who waits knows why."""
    told = []
    patience.harmless(
        calls(Busy("no", retry_after=3), "yes"), lambda setback, pause: told.append((str(setback), pause))
    )
    assert told == [("no", 3.0)]


def test_an_address_where_nobody_ever_was_is_given_up_soon(patience, clock):
    """It may be wrong, and nothing was sent."""
    with pytest.raises(NeverSent) as raised:
        patience.harmless(calls(NeverSent("no")))
    assert clock.now <= 5
    assert not raised.value.doubtful


@pytest.mark.parametrize("before", ["answered", "busy", "no answer"])
def test_a_service_that_has_been_there_is_waited_for(patience, clock, before):
    """It may just be restarting."""
    first = {"answered": "yes", "busy": Busy("no"), "no answer": NoAnswer("no")}[before]
    if before == "answered":
        patience.harmless(calls(first))
    with pytest.raises(NeverSent) as raised:
        patience.harmless(calls(first, NeverSent("no")) if before != "answered" else calls(NeverSent("no")))
    assert 100 <= clock.now <= 120
    assert raised.value.doubtful is (before != "answered")


def test_a_wish_longer_than_the_patience_is_not_waited_for(patience, clock):
    """It says so at once instead."""
    with pytest.raises(TryAgain):
        patience.harmless(calls(Busy("no", retry_after=121), "yes"))
    assert clock.slept == []
