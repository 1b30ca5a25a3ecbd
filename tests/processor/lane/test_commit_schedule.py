"""When a lane commits, and how far ahead."""

import pytest

from services.processor.lane.commit_schedule import Cadence, Reach


def test_the_first_commit_may_begin_at_once():
    """There is none before it."""
    cadence = Cadence(0.1, 10.0)
    assert (cadence.pause(0.0), cadence.renewal(0.0)) == (0.0, 0.0)


def test_commits_keep_their_distance():
    """Counted from when the last one began."""
    cadence = Cadence(0.5, 10.0)
    cadence.begins(100.0)
    assert cadence.pause(100.25) == 0.25
    assert cadence.pause(101.0) == 0.0


def test_commits_that_take_long_come_less_often():
    """They take at most a fifth of a lane's time: under load fewer and larger ones follow."""
    cadence = Cadence(0.1, 12.0)
    cadence.begins(100.0)
    cadence.ends(100.0625)
    assert cadence.pause(100.0625) == 0.25
    cadence.begins(101.0)
    cadence.ends(101.015625)
    assert cadence.gap == 0.1


@pytest.mark.parametrize(("interval", "lease", "longest"), [(0.5, 12.0, 2.5), (0.5, 6.0, 2.0), (3.0, 6.0, 3.0)])
def test_however_long_a_commit_takes_the_next_comes_in_time(interval, lease, longest):
    """After five intervals at the latest, and before the permit has to be renewed."""
    cadence = Cadence(interval, lease)
    cadence.begins(100.0)
    cadence.ends(104.0)
    assert cadence.gap == cadence.longest_gap == longest


def test_a_lane_with_work_commits_three_times_a_lease():
    """However often something else has woken it since."""
    cadence = Cadence(0.1, 12.0)
    cadence.begins(100.0)
    assert [cadence.renewal(now) for now in (100.0, 103.5, 104.0, 105.0)] == [4.0, 0.5, 0.0, 0.0]


def test_without_a_limit_twice_what_was_sent_lately_is_within_reach():
    """Beside the connections, each of which may take a row at once."""
    reach = Reach(64, None, 0.1)
    assert reach.rows == 64
    for _ in range(20):
        reach.sent()
    assert reach.rows == 64
    reach.commit_begins()
    assert reach.rows == 64 + 40
    reach.commit_begins()
    assert reach.rows == 64


def test_with_a_limit_the_pace_is_within_reach():
    """Whatever was sent lately."""
    reach = Reach(8, 50.0, 0.1)
    reach.sent()
    reach.commit_begins()
    assert reach.rows == 8 + 6
