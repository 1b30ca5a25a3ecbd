"""How far a lane is in both topics, and how far its horizons have to reach."""

import pytest

from services.processor.lane.row import Row
from services.processor.offsets.lane_offsets import Progress
from services.processor.offsets.watermark import Watermark
from tests.support.processor.lane_doubles import FakeLane, accepted

EXPRESS, BULK = "express", "bulk"


@pytest.fixture
def progress():
    """Both topics stand at 10."""
    return Progress({EXPRESS: Watermark(10, 10), BULK: Watermark(10, 10)})


def deliver(progress, topic, *offsets):
    rows = []
    for offset in offsets:
        place = progress.window(topic).admit(offset)
        rows.append(Row(accepted(offset), topic, place, FakeLane(), 0.0))
    return rows


def horizons(progress, *, released=False):
    return {topic: mark.horizon for topic, mark in progress.watermarks(released=released).items()}


def test_both_topics_count(progress):
    """What is held, whether anything is to do, and where each goes on."""
    assert not progress.has_work
    [express] = deliver(progress, EXPRESS, 10)
    bulk, other = deliver(progress, BULK, 10, 12)
    progress.finish(bulk)
    assert progress.used == 2
    assert progress.offsets == {EXPRESS: 10, BULK: 12}
    assert progress.positions == {EXPRESS: 11, BULK: 13}
    progress.finish(other)
    assert progress.has_work
    progress.finish(express)
    assert not progress.has_work
    assert progress.offsets == {EXPRESS: 11, BULK: 13}


def test_a_horizon_reaches_over_what_may_be_sent_in_its_own_topic(progress):
    """The other topic's stays where it is."""
    rows = deliver(progress, BULK, 10, 11, 12)
    progress.reach_to(BULK, rows[1].place)
    progress.reach_to(EXPRESS, None)
    assert horizons(progress) == {EXPRESS: 10, BULK: 12}


def test_a_horizon_is_drawn_in_to_what_is_not_settled(progress):
    """At a hand-over rows of its topic in flight or in doubt stay below it, and no others."""
    rows = deliver(progress, BULK, 10, 11, 12, 13)
    progress.reach_to(BULK, rows[3].place)
    for row in rows[:3]:
        progress.unsettle(row)
    progress.settle(rows[2])
    [elsewhere] = deliver(progress, EXPRESS, 20)
    progress.unsettle(elsewhere)
    progress.draw_in(BULK)
    assert horizons(progress, released=True)[BULK] == 12
    progress.finish(rows[1])
    progress.draw_in(BULK)
    assert horizons(progress, released=True)[BULK] == 11


def test_a_row_is_in_doubt_by_the_horizon_of_its_own_topic():
    """Offsets of two topics have nothing to do with each other."""
    progress = Progress({EXPRESS: Watermark(10, 12), BULK: Watermark(10, 10)})
    [express] = deliver(progress, EXPRESS, 11)
    [bulk] = deliver(progress, BULK, 11)
    assert progress.is_in_doubt(express)
    assert not progress.is_in_doubt(bulk)
