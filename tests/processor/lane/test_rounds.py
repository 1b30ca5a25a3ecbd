"""The rounds of one row: one runs, later ones wait behind it."""

from services.processor.lane.rounds import RoundOrder, Rounds
from tests.support.processor.lane_doubles import accepted, make_row


def round_(number, row=2, job_id="job"):
    return make_row(accepted(row, job_id=job_id, round=number))


def running(*rows):
    rounds = Rounds()
    for row in rows:
        rounds.begin(row)
    return rounds


def test_a_row_that_is_not_here_runs_at_once():
    """Another row of its job, or the same number of another job, is no hindrance."""
    rounds = running(round_(1, row=3), round_(1, job_id="other"))
    assert rounds.order_of(round_(1)) is RoundOrder.NOW


def test_a_later_round_waits_and_an_earlier_one_is_too_late():
    """Rounds of one row never overlap, and never run backwards."""
    rounds = running(round_(2))
    assert rounds.order_of(round_(3)) is RoundOrder.AFTER
    assert rounds.order_of(round_(1)) is RoundOrder.TOO_LATE
    assert rounds.order_of(round_(2)) is RoundOrder.DUPLICATE


def test_a_round_goes_behind_all_that_wait():
    """One between those that are here has come before: it is not let in a second time."""
    first, second, fourth = round_(1), round_(2), round_(4)
    rounds = running(first)
    assert rounds.wait(second) is first
    assert rounds.wait(fourth) is first
    assert rounds.order_of(round_(3)) is RoundOrder.DUPLICATE
    assert rounds.order_of(round_(5)) is RoundOrder.AFTER
    assert rounds.is_superseded(first)
    assert rounds.end(first) is second
    rounds.begin(second)
    assert rounds.end(second) is fourth
    assert not rounds.is_superseded(fourth)


def test_only_the_running_round_can_end():
    """A round that ended before, told of twice, must not take its successor's place away."""
    first, second = round_(1), round_(2)
    rounds = running(first)
    rounds.end(second)
    assert list(rounds) == [first]
    rounds.end(first)
    rounds.begin(second)
    rounds.end(first)
    assert list(rounds) == [second]
    assert len(rounds) == 1


def test_a_jobs_rows_are_found():
    """And nobody else's."""
    ours = [round_(1, row=2), round_(1, row=3)]
    assert running(*ours, round_(1, job_id="other")).of_job("job") == ours
