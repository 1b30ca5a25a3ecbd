"""How far a lane is in both topics, and where its horizons are."""

import pytest

from services.processor.lane.row import DeliveredRow, Row
from services.processor.offsets.lane_offsets import LaneOffsets
from services.processor.offsets.watermark import Watermark
from tests.support.processor.lane_doubles import accepted

EXPRESS, BULK = "express", "bulk"


@pytest.fixture
def lane_offsets():
    """Both topics stand at 10."""
    return LaneOffsets({EXPRESS: Watermark(10, 10), BULK: Watermark(10, 10)})


def deliver(lane_offsets, topic, *offsets):
    rows = []
    for offset in offsets:
        place = lane_offsets.window(topic).admit(offset)
        rows.append(Row(DeliveredRow(accepted(offset), topic, place, 0.0)))
    return rows


def horizons(lane_offsets, *, released=False):
    return {topic: mark.horizon for topic, mark in lane_offsets.watermarks(released=released).items()}


def test_both_topics_count(lane_offsets):
    """What is held, whether anything is to do, and where each goes on."""
    assert not lane_offsets.has_work
    [express] = deliver(lane_offsets, EXPRESS, 10)
    bulk, other = deliver(lane_offsets, BULK, 10, 12)
    lane_offsets.finish(bulk)
    assert [lane_offsets.held(topic) for topic in (EXPRESS, BULK)] == [1, 1]
    assert lane_offsets.to_commit == {EXPRESS: 10, BULK: 12}
    assert lane_offsets.positions == {EXPRESS: 11, BULK: 13}
    lane_offsets.finish(other)
    assert lane_offsets.has_work
    lane_offsets.finish(express)
    assert not lane_offsets.has_work
    assert lane_offsets.to_commit == {EXPRESS: 11, BULK: 13}


def test_a_horizon_covers_what_may_be_sent_in_its_own_topic(lane_offsets):
    """The other topic's stays where it is."""
    rows = deliver(lane_offsets, BULK, 10, 11, 12)
    lane_offsets.extend_horizon(BULK, rows[1].place)
    lane_offsets.extend_horizon(EXPRESS, None)
    assert horizons(lane_offsets) == {EXPRESS: 10, BULK: 12}


def test_a_horizon_shrinks_to_what_is_uncertain(lane_offsets):
    """At a hand-over rows of its topic in flight or in doubt stay below it, and no others."""
    rows = deliver(lane_offsets, BULK, 10, 11, 12, 13)
    lane_offsets.extend_horizon(BULK, rows[3].place)
    for row in rows[:3]:
        lane_offsets.mark_uncertain(row)
    lane_offsets.mark_certain(rows[2])
    [elsewhere] = deliver(lane_offsets, EXPRESS, 20)
    lane_offsets.mark_uncertain(elsewhere)
    lane_offsets.shrink_horizon(BULK)
    assert horizons(lane_offsets, released=True)[BULK] == 12
    lane_offsets.finish(rows[1])
    lane_offsets.shrink_horizon(BULK)
    assert horizons(lane_offsets, released=True)[BULK] == 11


def test_a_row_is_in_doubt_by_the_horizon_of_its_own_topic():
    """Offsets of two topics have nothing to do with each other."""
    lane_offsets = LaneOffsets({EXPRESS: Watermark(10, 12), BULK: Watermark(10, 10)})
    [express] = deliver(lane_offsets, EXPRESS, 11)
    [bulk] = deliver(lane_offsets, BULK, 11)
    assert lane_offsets.is_in_doubt(express)
    assert not lane_offsets.is_in_doubt(bulk)
