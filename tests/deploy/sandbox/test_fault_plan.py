"""Which faults one call gets: decided without I/O."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deploy.local.sandbox.fault_plan import WITHOUT_FAULTS, Answered, Call, Dropped, Effect, Refused, Silent, decide
from deploy.local.sandbox.faults import Faults, NameRule, RateLimit
from deploy.local.sandbox.rate_window import RateWindow

CREATE = Call("create", name="St. Mary's")
LOOK_UP = Call("look_up")
ACTIVATE = Call("activate")


def no_draw() -> float:
    raise AssertionError("nothing here is random")


def test_without_faults_every_call_is_done_and_answered_at_once() -> None:
    """No fault, no random number, no delay."""
    for call in (CREATE, LOOK_UP, ACTIVATE, Call("other")):
        assert decide(call, Faults(), no_draw) == WITHOUT_FAULTS


@pytest.mark.parametrize(
    ("fault", "effect", "ending"),
    [
        ("error_before", Effect.NEVER, Refused(500, "Internal Server Error")),
        ("error_after", Effect.NOW, Refused(500, "Internal Server Error")),
        ("hang_before", Effect.NEVER, Silent()),
        ("hang_after", Effect.NOW, Silent()),
        ("lose_answer", Effect.NOW, Dropped()),
        ("late", Effect.LATE, Dropped()),
    ],
)
def test_a_certain_creation_fault_always_happens_to_creations_and_to_nothing_else(fault, effect, ending) -> None:
    """Probability 1 leaves no way out; look-ups and activations have faults of their own."""
    faults = Faults.model_validate({fault: 1})
    plan = decide(CREATE, faults, random.Random(1).random)
    assert (plan.effect, plan.ending) == (effect, ending)
    assert decide(LOOK_UP, faults, no_draw).ending == Answered()
    assert decide(ACTIVATE, faults, no_draw).ending == Answered()


def test_creation_faults_happen_as_often_as_their_probabilities_say() -> None:
    """One number decides, so that 20 % and 10 % are 20 % and 10 % of all creations, not of what the first leaves."""
    faults = Faults(lose_answer=0.2, error_before=0.1)
    numbers = random.Random(7)
    seen = Counter(type(decide(CREATE, faults, numbers.random).ending).__name__ for _ in range(20_000))
    assert seen["Dropped"] / 20_000 == pytest.approx(0.2, abs=0.01)
    assert seen["Refused"] / 20_000 == pytest.approx(0.1, abs=0.01)


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_creation_is_refused_lost_or_answered_by_where_the_number_falls(drawn, error, lost) -> None:
    """The interval from 0 to 1 is divided among the faults, in the order of the settings."""
    plan = decide(CREATE, Faults(error_before=error, lose_answer=lost), lambda: drawn)
    if drawn < error:
        assert plan.ending == Refused(500, "Internal Server Error")
    elif drawn - error < lost:
        assert plan.ending == Dropped()
    else:
        assert plan.ending == Answered()


def test_the_same_seed_gives_the_same_outcomes() -> None:
    """A chaos round can be run again."""
    faults = Faults(lose_answer=0.3, late=0.3, jitter_ms=100)

    def outcomes(seed):
        numbers = random.Random(seed)
        return [decide(CREATE, faults, numbers.random) for _ in range(50)]

    assert outcomes(3) == outcomes(3)
    assert outcomes(3) != outcomes(4)


def test_probabilities_that_exceed_one_together_are_refused_with_what_to_do() -> None:
    """A call cannot have more than one of them."""
    with pytest.raises(ValidationError, match="together they may be 1 at most"):
        Faults(lose_answer=0.8, late=0.3)


def test_an_unknown_fault_is_refused() -> None:
    """A misspelt fault would prove nothing, quietly."""
    with pytest.raises(ValidationError, match="latencyms"):
        Faults.model_validate({"latencyms": 5})


def test_latency_jitter_and_a_slow_name_add_up() -> None:
    """100 ms, half of 50 ms, and 1 s for the name."""
    faults = Faults(latency_ms=100, jitter_ms=50, name_rules=(NameRule(contains="Mary", latency_ms=1000),))
    assert decide(CREATE, faults, lambda: 0.5).delay == pytest.approx(1.125)
    assert decide(Call("create", name="Other"), faults, lambda: 0.5).delay == pytest.approx(0.125)


def test_a_name_rule_refuses_its_rows_only() -> None:
    """The first rule that matches decides."""
    faults = Faults(name_rules=(NameRule(contains="Mary", status=422), NameRule(contains="St.", status=500)))
    assert decide(CREATE, faults, no_draw).ending == Refused(422, "Names with 'Mary' are refused here")
    assert decide(Call("create", name="St. John"), faults, no_draw).ending.status == 500
    assert decide(Call("create", name="Other"), faults, no_draw) == WITHOUT_FAULTS


@pytest.mark.parametrize(
    ("outage", "ending"), [("unavailable", Refused(503, "Service Unavailable", 4)), ("dropped", Dropped())]
)
def test_an_outage_spares_no_call_and_creates_nothing(outage, ending) -> None:
    """Both kinds, before token, limit and latency."""
    faults = Faults(outage=outage, token="t", latency_ms=500, retry_after_seconds=4)
    for call in (CREATE, LOOK_UP, ACTIVATE, Call("other")):
        plan = decide(call, faults, no_draw)
        assert (plan.effect, plan.ending, plan.delay) == (Effect.NEVER, ending, 0)


def test_a_missing_or_wrong_token_is_401() -> None:
    """Only the right token is admitted."""
    faults = Faults(token="secret")
    assert decide(CREATE, faults, no_draw).ending.status == 401
    assert decide(Call("create", authorization="Bearer wrong"), faults, no_draw).ending.status == 401
    assert decide(Call("create", authorization="Bearer secret"), faults, no_draw).ending == Answered()


def test_a_call_over_the_limit_is_told_whole_seconds_to_wait() -> None:
    """Retry-After knows no fractions, and 0 would invite at once."""
    limited = Faults(rate_limit=RateLimit(requests=1))
    assert decide(CREATE.waiting(1.2), limited, no_draw).ending == Refused(429, "Too Many Requests", 2)
    assert decide(CREATE.waiting(0.0), limited, no_draw).ending.retry_after == 1


def test_look_ups_and_activations_fail_by_their_own_faults() -> None:
    """And creations do not."""
    faults = Faults(lookup_errors=1, activation_errors=1)
    assert decide(LOOK_UP, faults, lambda: 0.0).ending.status == 500
    assert decide(ACTIVATE, faults, lambda: 0.0).ending.status == 500
    assert decide(LOOK_UP, Faults(lookup_hangs=1), lambda: 0.0).ending == Silent()
    assert decide(CREATE, faults, no_draw) == WITHOUT_FAULTS


@given(st.lists(st.integers(0, 90), max_size=200), st.integers(1, 5))
def test_the_rate_window_never_lets_more_than_the_limit_into_any_window(gaps, requests) -> None:
    """Whatever the arrivals (gaps in 1/128 s, exact as floats): count the admitted ones of every half-open second."""
    window, now, admitted = RateWindow(RateLimit(requests=requests)), 0.0, []
    for gap in gaps:
        now += gap / 128
        wait = window.wait_at(now)
        if wait is None:
            admitted.append(now)
        else:
            assert 0 <= wait <= 1
    for start in admitted:
        assert sum(start - 1 < at <= start for at in admitted) <= requests


def test_the_rate_window_opens_again_after_exactly_the_wait_it_named() -> None:
    """What Retry-After promises is kept; refused calls do not prolong it."""
    window = RateWindow(RateLimit(requests=2, period_seconds=10))
    assert [window.wait_at(0.0), window.wait_at(4.0)] == [None, None]
    assert window.wait_at(5.0) == 5.0
    assert window.wait_at(10.0) is None
    assert window.wait_at(10.0) == 4.0
