"""Rows in doubt: looked up together, not too early, and never called absent without reason."""

import pytest

from services.processor.directory.outcomes import ConnectionFailed, Listed, Listing, LookupFailed, Throttled
from services.processor.lane.row import LastError, State
from services.processor.lane.transitions import AttemptRules
from services.processor.limits.backoff import Backoff
from services.processor.sending.lookups import MISSING_LOOK_UPS, LookupQueue
from shared.contract.events import RowCreated, RowErrorCode, RowFailed
from tests.support.processor.lane_doubles import Clock, FakeLane, accepted, make_row

GIVE_UP_SECONDS = 20.0


@pytest.fixture
def clock():
    """The queue's time."""
    return Clock()


@pytest.fixture
def lookups(clock):
    return LookupQueue(AttemptRules(3, 5.0, Backoff(0.2, 1).seconds), lambda: None, GIVE_UP_SECONDS, clock)


class InDoubt:
    """A row in doubt, and the lane that hears of its look-up."""

    def __init__(self, row, lane):
        self.row, self.lane, self.event = row, lane, row.event


def row_in_doubt(lookups, row=2, *, after=0.0, batch_id="batch", **attempts):
    made = InDoubt(make_row(accepted(row, batch_id=batch_id), state=State.IN_DOUBT, **attempts), FakeLane())
    lookups.add(made.lane, made.row, after)
    return made


def listing(row, hospital_id=1):
    event = row.event
    return Listing(hospital_id, event.name.upper(), f"  {event.address} ", event.phone)


def take(lookups):
    """The batch whose look-up begins now, None when none is due."""
    least = lookups.least_failed()
    if least is None:
        return None
    lookups.begin(least[1])
    return least[1]


def answer(lookups, clock, outcome):
    batch_id = take(lookups)
    assert batch_id == "batch"
    lookups.record_outcome(batch_id, clock.now, outcome)


def test_what_is_found_was_created(lookups, clock):
    """Matching keys are enough: case, spaces and phone punctuation do not count."""
    row = row_in_doubt(lookups)
    answer(lookups, clock, Listed((listing(row, 9),)))
    [result] = row.lane.results
    assert isinstance(result, RowCreated)
    assert (result.hospital_id, result.found) == (9, True)
    assert lookups.next_due() is None


def test_what_is_absent_is_retried(lookups, clock):
    """After a wait, and the attempt counts."""
    row = row_in_doubt(lookups, counts_as_attempt=True, last_error=LastError("boom", 500))
    answer(lookups, clock, Listed(()))
    [(waiting, wait)] = row.lane.waits
    assert (waiting, waiting.attempts.count) == (row.row, 1)
    assert wait >= 0.2


def test_rows_of_a_former_owner_that_are_absent_are_retried_at_once(lookups, clock):
    """Nothing has gone wrong with them."""
    row = row_in_doubt(lookups)
    answer(lookups, clock, Listed(()))
    assert row.lane.waits == [(row.row, 0.0)]
    assert row.row.attempts.count == 0


def test_one_look_up_answers_for_all_rows_of_a_batch(lookups, clock):
    """Whatever lanes they are in."""
    rows = [row_in_doubt(lookups, row) for row in range(2, 12)]
    answer(lookups, clock, Listed(tuple(listing(row, row.event.row) for row in rows[:5])))
    assert [len(row.lane.results) for row in rows] == [1] * 5 + [0] * 5
    assert all(row.lane.waits for row in rows[5:])
    assert take(lookups) is None


def test_a_look_up_answers_only_for_rows_whose_time_had_come(lookups, clock):
    """The directory may still be about to create the others."""
    now = clock.now
    due = row_in_doubt(lookups, 2, after=now - 1)
    settling = row_in_doubt(lookups, 3, after=now + 60)
    answer(lookups, clock, Listed(()))
    assert due.lane.waits
    assert not settling.lane.waits
    assert lookups.next_due() == pytest.approx(now + 60)
    assert take(lookups) is None


def test_rows_that_came_during_a_look_up_are_not_answered_by_it(lookups, clock):
    """What counts is when it began."""
    row_in_doubt(lookups, 2)
    batch_id, began = take(lookups), clock.now
    late = row_in_doubt(lookups, 3, after=began + 0.001)
    assert take(lookups) is None
    lookups.record_outcome(batch_id, began, Listed(()))
    assert not late.lane.waits
    assert lookups.next_due() is not None


def test_a_row_whose_call_overlapped_a_look_up_is_not_answered_by_it(lookups, clock):
    """The directory may have listed the batch, then created the row, then answered 500 for it."""
    called = clock.now
    row_in_doubt(lookups, 2)
    batch_id, began = take(lookups), clock.now
    clock.now += 0.1
    overlapping = row_in_doubt(lookups, 3, after=called)
    lookups.record_outcome(batch_id, began, Listed(()))
    assert not overlapping.lane.waits
    answer(lookups, clock, Listed((listing(overlapping),)))
    assert isinstance(overlapping.lane.results[0], RowCreated)


@pytest.mark.parametrize("outcome", [LookupFailed("boom"), ConnectionFailed("refused"), Throttled(1.0)])
def test_a_look_up_that_fails_says_nothing(lookups, outcome, clock):
    """The row stays in doubt, and is looked up again."""
    row = row_in_doubt(lookups)
    answer(lookups, clock, outcome)
    assert (row.lane.waits, row.lane.results) == ([], [])
    assert lookups.next_due() > clock.now


def test_a_look_up_that_misses_a_known_hospital_says_nothing_of_what_it_does_not_show(lookups, clock):
    """The directory's list is behind: a missing row proves nothing, a row that it shows is there."""
    lookups.remember_created(make_row(accepted(3)), 77, echoed=True)
    hidden, shown = row_in_doubt(lookups, 2), row_in_doubt(lookups, 4)
    answer(lookups, clock, Listed((listing(shown, 78),)))
    assert (hidden.lane.waits, hidden.lane.results) == ([], [])
    assert lookups.next_due() > clock.now
    assert [result.hospital_id for result in shown.lane.results] == [78]


def test_a_look_up_need_not_show_what_was_created_after_it_began(lookups, clock):
    """In a busy batch something always is."""
    row = row_in_doubt(lookups)
    batch_id, began = take(lookups), clock.now
    clock.now += 0.1
    lookups.remember_created(make_row(accepted(3)), 77, echoed=True)
    lookups.record_outcome(batch_id, began, Listed(()))
    assert row.lane.waits


def test_batches_without_unfinished_rows_are_forgotten(lookups, clock):
    """Their look-ups need not show their hospitals any more."""
    lookups.remember_created(make_row(accepted(3)), 77, echoed=True)
    lookups.forget_batches({"another"})
    row = row_in_doubt(lookups, 4)
    answer(lookups, clock, Listed(()))
    assert row.lane.waits


def look_up_until_given_up(lookups, clock, row, *shown):
    """How many look-ups it took, and how many seconds."""
    began, count = clock.now, 0
    while not row.lane.results and count < 100:
        clock.now = lookups.next_due() or clock.now
        answer(lookups, clock, Listed(shown))
        count += 1
    return count, clock.now - began


def test_a_hospital_that_somebody_deleted_does_not_keep_its_batch_in_doubt_for_ever(lookups, clock):
    """After many look-ups over a long time the row fails; its message names what is missing and what to look for."""
    lookups.remember_created(make_row(accepted(3)), 77, echoed=True)
    row = row_in_doubt(lookups, after=clock.now, counts_as_attempt=True, last_error=LastError("no answer within 10 s"))
    count, seconds = look_up_until_given_up(lookups, clock, row)
    assert count >= MISSING_LOOK_UPS
    assert GIVE_UP_SECONDS <= seconds <= GIVE_UP_SECONDS + 2
    [result] = row.lane.results
    assert result.code is RowErrorCode.OUTCOME_UNKNOWN
    for word in ("no answer within 10 s", "(77)", row.event.name, row.event.address, row.event.batch_id):
        assert word in result.message


def test_the_next_row_of_a_batch_that_was_given_up_does_not_wait_as_long(lookups, clock):
    """Unless the directory shows all known hospitals again: then absence is proven again."""
    seen = make_row(accepted(3))
    lookups.remember_created(seen, 77, echoed=True)
    look_up_until_given_up(lookups, clock, row_in_doubt(lookups, after=clock.now))
    second = row_in_doubt(lookups, 4, after=clock.now)
    answer(lookups, clock, Listed(()))
    assert second.lane.results[0].code is RowErrorCode.OUTCOME_UNKNOWN
    third = row_in_doubt(lookups, 5, after=clock.now)
    answer(lookups, clock, Listed((listing(seen, 77),)))
    assert third.lane.waits


@pytest.mark.parametrize("rewrites", [True, False])
def test_absence_that_proves_nothing_fails_visibly(lookups, rewrites, clock):
    """After changed fields, or on a page: the row fails, and its message says what to look for."""
    if rewrites:
        lookups.remember_created(make_row(accepted(3)), 1, echoed=False)
    row = row_in_doubt(lookups, counts_as_attempt=True, last_error=LastError("no answer within 10 s"))
    answer(lookups, clock, Listed((Listing(1, "Somebody else", "", None),), whole=rewrites))
    [result] = row.lane.results
    assert isinstance(result, RowFailed)
    assert result.code is RowErrorCode.OUTCOME_UNKNOWN
    assert all(word in result.message for word in ("no answer within 10 s", row.event.name, row.event.batch_id))


def test_a_batch_that_was_rewritten_says_nothing_of_other_batches(lookups, clock):
    """Nor of itself, once it is forgotten."""
    lookups.remember_created(make_row(accepted(3, batch_id="other")), 1, echoed=False)
    row = row_in_doubt(lookups)
    answer(lookups, clock, Listed(()))
    assert row.lane.waits
    lookups.forget_batches({"batch"})
    later = row_in_doubt(lookups, batch_id="other")
    lookups.record_outcome(take(lookups), clock.now, Listed(()))
    assert later.lane.waits


def test_a_row_whose_outcome_is_unknown_says_what_a_clerk_has_to_do(lookups, clock):
    """Where to look, for what, and what follows in either case."""
    row = row_in_doubt(lookups, last_error=LastError("no answer within 10 s"))
    answer(lookups, clock, Listed((), whole=False))
    [result] = row.lane.results
    assert result.message == (
        "The hospital may have been created (no answer within 10 s), and the directory lists only a part of the batch, "
        "so nobody can tell from here. Look in the hospital directory for 'St. Mary 2', '2 Main St' in batch batch. "
        "If it is there, resolve the row with its id; if not, resolve it as absent and retry."
    )


def test_a_page_that_shows_the_row_is_enough(lookups, clock):
    """What is shown is there."""
    row = row_in_doubt(lookups)
    answer(lookups, clock, Listed((listing(row),), whole=False))
    assert isinstance(row.lane.results[0], RowCreated)


def test_rows_of_a_lane_that_has_ended_are_left_to_its_next_owner(lookups):
    """A look-up for them alone is not made."""
    row = row_in_doubt(lookups)
    row.lane.ended = True
    assert take(lookups) is None
    assert (row.lane.results, row.row.state) == ([], State.IN_DOUBT)


def test_a_batch_whose_look_up_failed_waits_however_many_rows_it_has(lookups, clock):
    """Each row asked for a look-up of its own; a failing directory must not get them all at once."""
    rows = [row_in_doubt(lookups, row, after=row / 100) for row in range(2, 12)]
    answer(lookups, clock, LookupFailed("500"))
    assert take(lookups) is None
    assert lookups.next_due() >= clock.now + 0.1
    assert not any(row.lane.waits for row in rows)


def test_ids_are_the_same_as_number_and_as_text(lookups, clock):
    """A directory that answers 7 and lists "7" has not lost a hospital."""
    seen = make_row(accepted(2))
    lookups.remember_created(seen, 7, echoed=True)
    row = row_in_doubt(lookups, 3)
    answer(lookups, clock, Listed((listing(seen, "7"),)))
    assert row.lane.waits == [(row.row, 0.0)]


def test_a_row_in_doubt_during_the_look_up_of_its_batch_gets_the_next_one(lookups, clock):
    """And there is only one next one."""
    first = row_in_doubt(lookups, 2)
    batch_id = take(lookups)
    began = clock.now
    second = row_in_doubt(lookups, 3, after=began + 0.01)
    assert lookups.next_due() is None
    lookups.record_outcome(batch_id, began, Listed(()))
    assert (bool(first.lane.waits), bool(second.lane.waits)) == (True, False)
    assert lookups.next_due() == began + 0.01
    clock.now += 0.01
    answer(lookups, clock, Listed(()))
    assert second.lane.waits
    assert lookups.next_due() is None
