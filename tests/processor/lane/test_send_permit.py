"""What a lane may send, by the commits that it made."""

from services.processor.lane.send_permit import SendPermit
from services.processor.offsets.watermark import Watermark

TOPIC, OTHER = "hospital.rows.express", "hospital.rows.bulk"


def up_to(horizon: int) -> dict[str, Watermark]:
    return {TOPIC: Watermark(0, horizon)}


def permit_until(horizon: int) -> SendPermit:
    """A permit whose commit began, and succeeded, at 100 s; its lease is 10 s."""
    permit = SendPermit(10.0)
    permit.commit_begins(100.0, up_to(horizon))
    permit.committed()
    return permit


def test_before_the_first_commit_nothing_may_be_sent():
    """Also not while it is under way: it may have failed."""
    permit = SendPermit(10.0)
    assert not permit.allows(TOPIC, 0, 0.0)
    permit.commit_begins(100.0, up_to(5))
    assert not permit.allows(TOPIC, 0, 100.0)


def test_rows_below_the_horizon_may_be_sent_for_a_lease():
    """From when the commit began, not from when it ended."""
    permit = permit_until(5)
    assert permit.allows(TOPIC, 4, 109.9)
    assert not permit.allows(TOPIC, 5, 109.9)
    assert not permit.allows(TOPIC, 4, 110.0)
    assert not permit.allows(OTHER, 0, 100.0)


def test_while_a_commit_is_under_way_the_higher_horizon_does_not_hold_yet():
    """Should it fail, the next owner would not look such a row up."""
    permit = permit_until(5)
    permit.commit_begins(101.0, up_to(9))
    assert permit.allows(TOPIC, 4, 101.0)
    assert not permit.allows(TOPIC, 5, 101.0)
    permit.committed()
    assert permit.allows(TOPIC, 8, 110.9)


def test_while_a_commit_is_under_way_the_lower_horizon_holds_already():
    """It may have happened, and the next owner would not look such a row up."""
    permit = permit_until(9)
    permit.commit_begins(101.0, up_to(5))
    assert permit.allows(TOPIC, 4, 101.0)
    assert not permit.allows(TOPIC, 5, 101.0)


def test_a_commit_under_way_does_not_lengthen_the_lease():
    """Only one that succeeded does."""
    permit = permit_until(5)
    permit.commit_begins(109.0, up_to(5))
    assert not permit.allows(TOPIC, 4, 110.0)
    permit.committed()
    assert permit.allows(TOPIC, 4, 118.9)


def test_a_permit_that_was_withdrawn_comes_back_only_with_the_next_commit():
    """A hand-over; the answer to a commit from before changes nothing."""
    permit = permit_until(5)
    permit.commit_begins(101.0, up_to(9))
    permit.withdraw()
    permit.committed()
    assert not permit.allows(TOPIC, 0, 101.0)
