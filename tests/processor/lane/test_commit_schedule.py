"""When a lane commits, and how far ahead."""

import pytest

from services.processor.lane.commit_schedule import CommitSchedule, SendAhead


def test_the_first_commit_may_begin_at_once():
    """There is none before it."""
    schedule = CommitSchedule(0.1, 10.0)
    assert (schedule.seconds_until_next(0.0), schedule.seconds_until_renewal(0.0)) == (0.0, 0.0)


def test_commits_keep_their_distance():
    """Counted from when the last one began."""
    schedule = CommitSchedule(0.5, 10.0)
    schedule.commit_begins(100.0)
    assert schedule.seconds_until_next(100.25) == 0.25
    assert schedule.seconds_until_next(101.0) == 0.0


def test_commits_that_take_long_come_less_often():
    """They take at most a fifth of a lane's time: under load fewer and larger ones follow."""
    schedule = CommitSchedule(0.1, 12.0)
    schedule.commit_begins(100.0)
    schedule.committed(100.0625)
    assert schedule.seconds_until_next(100.0625) == 0.25
    schedule.commit_begins(101.0)
    schedule.committed(101.015625)
    assert schedule.gap == 0.1


@pytest.mark.parametrize(("interval", "lease", "longest"), [(0.5, 12.0, 2.5), (0.5, 6.0, 2.0), (3.0, 6.0, 3.0)])
def test_however_long_a_commit_takes_the_next_comes_in_time(interval, lease, longest):
    """After five intervals at the latest, and before the permit has to be renewed."""
    schedule = CommitSchedule(interval, lease)
    schedule.commit_begins(100.0)
    schedule.committed(104.0)
    assert schedule.gap == schedule.longest_gap == longest


def test_a_lane_with_work_commits_three_times_a_lease():
    """However often something else has woken it since."""
    schedule = CommitSchedule(0.1, 12.0)
    schedule.commit_begins(100.0)
    assert [schedule.seconds_until_renewal(now) for now in (100.0, 103.5, 104.0, 105.0)] == [4.0, 0.5, 0.0, 0.0]


def test_without_a_limit_twice_what_was_sent_before_may_be_sent_ahead():
    """Beside the connections, each of which may take a row at once."""
    ahead = SendAhead(64, None, 0.1)
    assert ahead.rows == 64
    for _ in range(20):
        ahead.sent()
    assert ahead.rows == 64
    ahead.commit_begins()
    assert ahead.rows == 64 + 40
    ahead.commit_begins()
    assert ahead.rows == 64


def test_with_a_limit_as_much_as_it_allows_may_be_sent_ahead():
    """Whatever was sent before."""
    ahead = SendAhead(8, 50.0, 0.1)
    ahead.sent()
    ahead.commit_begins()
    assert ahead.rows == 8 + 6
