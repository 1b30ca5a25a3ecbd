"""Rows in doubt: looked up together, not too early, and never called absent without reason."""

import pytest

from services.processor.directory.outcomes import Listed, Listing, NeverSent, Throttled, Unlisted
from services.processor.lane.lane import LaneEnd
from services.processor.lane.row import State, Trouble
from services.processor.limits.backoff import Backoff
from services.processor.sending import lookups as in_doubt_module
from services.processor.sending.lookups import MISSING_LOOK_UPS, InDoubt
from shared.contract.events import RowCreated, RowErrorCode, RowFailed
from tests.support.processor.lane_doubles import Clock, FakeLane, accepted, make_row

PATIENCE = 20.0


@pytest.fixture
def clock(monkeypatch):
    """Time goes only when told."""
    clock = Clock()
    monkeypatch.setattr(in_doubt_module, "time", clock)
    return clock


@pytest.fixture
def in_doubt(clock):
    return InDoubt(3, Backoff(0.2, 1), lambda: None, PATIENCE)


def doubtful(in_doubt, row=2, *, after=0.0, lane=None, **changes):
    made = make_row(accepted(row), lane=lane or FakeLane(), state=State.IN_DOUBT, **changes)
    in_doubt.add(made, after)
    return made


def listing(row, hospital_id=1):
    event = row.event
    return Listing(hospital_id, event.name.upper(), f"  {event.address} ", event.phone)


def answer(in_doubt, outcome):
    batch_id = in_doubt.take()
    assert batch_id == "batch"
    in_doubt.answered(batch_id, in_doubt_module.time.monotonic(), outcome)


def test_what_is_found_was_created(in_doubt):
    """Alike is enough: case, spaces and phone punctuation do not count."""
    row = doubtful(in_doubt)
    answer(in_doubt, Listed((listing(row, 9),)))
    [result] = row.lane.results
    assert isinstance(result, RowCreated)
    assert (result.hospital_id, result.found) == (9, True)
    assert in_doubt.next_due() is None


def test_what_is_absent_goes_again(in_doubt):
    """After a wait, and the attempt counts."""
    row = doubtful(in_doubt, counts=True, trouble=Trouble("boom", 500))
    answer(in_doubt, Listed(()))
    [(waiting, wait)] = row.lane.waits
    assert (waiting, row.attempts) == (row, 1)
    assert wait >= 0.2


def test_inherited_rows_that_are_absent_go_at_once(in_doubt):
    """Nothing has gone wrong with them."""
    row = doubtful(in_doubt)
    answer(in_doubt, Listed(()))
    assert row.lane.waits == [(row, 0.0)]
    assert row.attempts == 0


def test_one_look_up_answers_for_all_rows_of_a_batch(in_doubt):
    """Whatever lanes they are in."""
    rows = [doubtful(in_doubt, row) for row in range(2, 12)]
    answer(in_doubt, Listed(tuple(listing(row, row.event.row) for row in rows[:5])))
    assert [len(row.lane.results) for row in rows] == [1] * 5 + [0] * 5
    assert all(row.lane.waits for row in rows[5:])
    assert in_doubt.take() is None


def test_a_look_up_answers_only_for_rows_whose_time_had_come(in_doubt, clock):
    """The directory may still be about to create the others."""
    now = clock.now
    due = doubtful(in_doubt, 2, after=now - 1)
    settling = doubtful(in_doubt, 3, after=now + 60)
    answer(in_doubt, Listed(()))
    assert due.lane.waits
    assert not settling.lane.waits
    assert in_doubt.next_due() == pytest.approx(now + 60)
    assert in_doubt.take() is None


def test_rows_that_came_during_a_look_up_are_not_answered_by_it(in_doubt, clock):
    """What counts is when it began."""
    doubtful(in_doubt, 2)
    batch_id, began = in_doubt.take(), clock.now
    late = doubtful(in_doubt, 3, after=began + 0.001)
    assert in_doubt.take() is None
    in_doubt.answered(batch_id, began, Listed(()))
    assert not late.lane.waits
    assert in_doubt.next_due() is not None


def test_a_row_whose_call_overlapped_a_look_up_is_not_answered_by_it(in_doubt, clock):
    """The directory may have listed the batch, then created the row, then answered 500 for it."""
    called = clock.now
    doubtful(in_doubt, 2)
    batch_id, began = in_doubt.take(), clock.now
    clock.now += 0.1
    overlapping = doubtful(in_doubt, 3, after=called)
    in_doubt.answered(batch_id, began, Listed(()))
    assert not overlapping.lane.waits
    answer(in_doubt, Listed((listing(overlapping),)))
    assert isinstance(overlapping.lane.results[0], RowCreated)


@pytest.mark.parametrize("outcome", [Unlisted("boom"), NeverSent("refused"), Throttled(1.0)])
def test_a_look_up_that_fails_says_nothing(in_doubt, outcome, clock):
    """The row stays in doubt, and is looked up again."""
    row = doubtful(in_doubt)
    answer(in_doubt, outcome)
    assert (row.lane.waits, row.lane.results) == ([], [])
    assert in_doubt.next_due() > clock.now


def test_a_look_up_that_misses_a_known_hospital_says_nothing_of_what_it_does_not_show(in_doubt, clock):
    """A directory that is behind itself cannot say absent; what it shows is there all the same."""
    in_doubt.created(make_row(accepted(3)), 77, echoed=True)
    hidden, shown = doubtful(in_doubt, 2), doubtful(in_doubt, 4)
    answer(in_doubt, Listed((listing(shown, 78),)))
    assert (hidden.lane.waits, hidden.lane.results) == ([], [])
    assert in_doubt.next_due() > clock.now
    assert [result.hospital_id for result in shown.lane.results] == [78]


def test_a_look_up_need_not_show_what_was_created_after_it_began(in_doubt, clock):
    """In a busy batch something always is."""
    row = doubtful(in_doubt)
    batch_id, began = in_doubt.take(), clock.now
    clock.now += 0.1
    in_doubt.created(make_row(accepted(3)), 77, echoed=True)
    in_doubt.answered(batch_id, began, Listed(()))
    assert row.lane.waits


def test_what_nobody_waits_for_is_forgotten(in_doubt):
    """Hospitals of batches without unfinished rows are not known any more."""
    in_doubt.created(make_row(accepted(3)), 77, echoed=True)
    in_doubt.forget_batches({"another"})
    row = doubtful(in_doubt, 4)
    answer(in_doubt, Listed(()))
    assert row.lane.waits


def look_up_until_given_up(in_doubt, clock, row, *shown):
    """How many look-ups it took, and how many seconds."""
    began, count = clock.now, 0
    while not row.lane.results and count < 100:
        clock.now = in_doubt.next_due()
        answer(in_doubt, Listed(shown))
        count += 1
    return count, clock.now - began


def test_a_hospital_that_somebody_deleted_does_not_keep_its_batch_in_doubt_for_ever(in_doubt, clock):
    """After many look-ups over a long time the row fails; its message names what is missing and what to look for."""
    in_doubt.created(make_row(accepted(3)), 77, echoed=True)
    row = doubtful(in_doubt, after=clock.now, counts=True, trouble=Trouble("no answer within 10 s"))
    count, seconds = look_up_until_given_up(in_doubt, clock, row)
    assert count >= MISSING_LOOK_UPS
    assert PATIENCE <= seconds <= PATIENCE + 2
    [result] = row.lane.results
    assert result.code is RowErrorCode.OUTCOME_UNKNOWN
    for word in ("no answer within 10 s", "(77)", row.event.name, row.event.address, row.event.batch_id):
        assert word in result.message


def test_the_next_row_of_a_batch_that_was_given_up_does_not_wait_as_long(in_doubt, clock):
    """Unless the directory has come to itself: then absent means absent again."""
    seen = make_row(accepted(3))
    in_doubt.created(seen, 77, echoed=True)
    look_up_until_given_up(in_doubt, clock, doubtful(in_doubt, after=clock.now))
    second = doubtful(in_doubt, 4, after=clock.now)
    answer(in_doubt, Listed(()))
    assert second.lane.results[0].code is RowErrorCode.OUTCOME_UNKNOWN
    third = doubtful(in_doubt, 5, after=clock.now)
    answer(in_doubt, Listed((listing(seen, 77),)))
    assert third.lane.waits


@pytest.mark.parametrize("rewrites", [True, False])
def test_absence_that_proves_nothing_fails_visibly(in_doubt, rewrites):
    """After a rewritten echo, or on a page: the row fails and says what to look for."""
    if rewrites:
        in_doubt.created(make_row(accepted(3)), 1, echoed=False)
    row = doubtful(in_doubt, counts=True, trouble=Trouble("no answer within 10 s"))
    answer(in_doubt, Listed((Listing(1, "Somebody else", "", None),), whole=rewrites))
    [result] = row.lane.results
    assert isinstance(result, RowFailed)
    assert result.code is RowErrorCode.OUTCOME_UNKNOWN
    assert all(word in result.message for word in ("no answer within 10 s", row.event.name, row.event.batch_id))


def test_a_page_that_shows_the_row_is_enough(in_doubt):
    """What is shown is there."""
    row = doubtful(in_doubt)
    answer(in_doubt, Listed((listing(row),), whole=False))
    assert isinstance(row.lane.results[0], RowCreated)


def test_rows_of_a_lane_that_is_over_are_left_to_its_next_owner(in_doubt):
    """A look-up for them alone is not made."""
    lane = FakeLane()
    row = doubtful(in_doubt, lane=lane)
    lane.end = LaneEnd.FENCED
    assert in_doubt.take() is None
    assert (lane.results, row.state) == ([], State.IN_DOUBT)


def test_a_batch_whose_look_up_failed_waits_however_many_rows_it_has(in_doubt, clock):
    """Each row asked for a look-up of its own; a directory in trouble must not get them all at once."""
    rows = [doubtful(in_doubt, row, after=row / 100) for row in range(2, 12)]
    answer(in_doubt, Unlisted("500"))
    assert in_doubt.take() is None
    assert in_doubt.next_due() >= clock.now + 0.1
    assert not any(row.lane.waits for row in rows)


def test_ids_are_the_same_as_number_and_as_text(in_doubt):
    """A directory that answers 7 and lists "7" has not lost a hospital."""
    seen = make_row(accepted(2))
    in_doubt.created(seen, 7, echoed=True)
    row = doubtful(in_doubt, 3)
    answer(in_doubt, Listed((listing(seen, "7"),)))
    assert row.lane.waits == [(row, 0.0)]


def test_a_row_in_doubt_during_the_look_up_of_its_batch_gets_the_next_one(in_doubt, clock):
    """And that one is not asked for twice."""
    first = doubtful(in_doubt, 2)
    batch_id = in_doubt.take()
    began = clock.now
    second = doubtful(in_doubt, 3, after=began + 0.01)
    assert in_doubt.next_due() is None
    in_doubt.answered(batch_id, began, Listed(()))
    assert (bool(first.lane.waits), bool(second.lane.waits)) == (True, False)
    assert in_doubt.next_due() == began + 0.01
    clock.now += 0.01
    answer(in_doubt, Listed(()))
    assert second.lane.waits
    assert in_doubt.next_due() is None
