"""Where a replica is in its partitions."""

from aiokafka import TopicPartition

from services.status.projection.positions import Positions
from services.status.tables.stored_offsets import Step

A, B = TopicPartition("hospital.jobs", 0), TopicPartition("hospital.jobs", 1)


def placed(**offsets):
    positions = Positions()
    positions.assign([A, B])
    positions.place({A: 5, B: 7} | offsets)
    return positions


def test_nothing_counts_before_the_database_said_where_to_go_on():
    """The consumer's own position is not to be believed."""
    positions = Positions()
    positions.assign([A])
    assert not positions.holds(A)
    assert positions.unplaced == {A}


def test_an_assignment_takes_everything_back():
    """Also what stays with us: somebody else may have had it meanwhile."""
    positions = placed()
    positions.assign([A])
    assert (positions.placed, positions.unplaced) == ({}, {A})


def test_an_answer_about_a_partition_that_was_taken_away_meanwhile_is_not_used():
    """The database was asked before the rebalance and answered after it."""
    positions = Positions()
    positions.assign([B])
    assert positions.place({A: 5, B: 7}) == {B: 7}


def test_a_partition_that_did_not_move_takes_no_step():
    """No transaction for nothing; one for a marker that readers never see."""
    assert placed().read({A: 5, B: 9}) == [Step(*B, 7, 9)]


def test_what_is_read_follows_what_was_read_before_committed_or_not():
    """The next batch is read while the one before is being written."""
    positions = placed()
    positions.read({A: 6})
    assert positions.read({A: 8}) == [Step(*A, 6, 8)]
    assert positions.placed[A] == 5


def test_steps_count_when_they_are_committed():
    """The next ones begin there."""
    positions = placed()
    positions.advance([Step(*A, 5, 6)])
    assert positions.placed == {A: 6, B: 7}


def test_steps_of_an_earlier_assignment_move_nothing():
    """The commit was under way when the rebalance came."""
    positions = placed()
    positions.advance([Step(*A, 4, 6)])
    assert positions.placed[A] == 5


def test_after_a_failed_transaction_only_the_database_knows():
    """Its answer may have been lost after the commit."""
    positions = placed()
    positions.invalidate()
    assert (positions.placed, positions.unplaced) == ({}, {A, B})


def test_a_lost_partition_is_not_caught_up():
    """The tables may have been made again meanwhile, and not know yet which JobFinished there are."""
    positions = placed()
    positions.observe_end(A, 5)
    positions.invalidate()
    assert positions.caught_up("hospital.jobs") == []


def test_a_partition_read_to_its_end_once_is_caught_up_for_this_assignment():
    """New events do not make old ones unread again; a new assignment does."""
    positions = placed()
    positions.observe_end(A, 6)
    positions.observe_end(B, 7)
    positions.observe_end(B, 8)
    assert positions.caught_up("hospital.jobs") == [1]
    positions.assign([A, B])
    assert positions.caught_up("hospital.jobs") == []
