"""A report counts from when it is read: the clock of its processor may be wrong by hours."""

import pytest

from services.status.model.report_times import as_received
from tests.support.status.job_histories import at, report


@pytest.mark.parametrize("wrong_by", [-86_400, -3_600, 3_600, 86_400])
def test_a_new_report_is_of_now_whatever_its_clock_says(wrong_by):
    """And the wait that the directory asked for is as long as it was."""
    said = report(seconds=wrong_by, retry_after_until=at(wrong_by + 30))
    heard = as_received(said, at(2), live=True)
    assert (heard.occurred_at, heard.retry_after_until) == (at(2), at(32))


def test_a_report_that_is_read_again_keeps_its_time():
    """After a restart the topic is read from where it was left: what it holds may be hours old."""
    assert as_received(report(seconds=-7_200), at(0), live=False) == report(seconds=-7_200)


def test_a_report_of_the_future_that_is_read_again_is_of_now():
    """Nothing has happened later than now."""
    said = report(seconds=86_400, retry_after_until=at(86_400 + 30))
    heard = as_received(said, at(0), live=False)
    assert (heard.occurred_at, heard.retry_after_until) == (at(0), at(30))
