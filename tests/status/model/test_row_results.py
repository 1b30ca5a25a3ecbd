"""What a new result changes."""

import pytest

from services.status.model.row_results import (
    StoredRow,
    changes,
    changes_by_decision,
    counting,
    decision_of,
    record_of,
)
from services.status.model.throughput import slot_of
from shared.contract.events import RowErrorCode
from tests.support.status.job_histories import JobHistory

HISTORY = JobHistory()


def stored_row(record):
    return {record.key: StoredRow(record.round, record.status, record.finished_at, record.error_code)}


@pytest.mark.parametrize(
    ("uploaded", "stored"),
    [
        ({"cells": ("Çeşme", "1 Road", "", "12")}, '["Çeşme","1 Road","","12"]'),
        ({"cells": ()}, "[]"),
        ({"cells": (), "columns": {"name": "Çeşme", "Beds": ""}}, '{"name":"Çeşme","Beds":""}'),
        ({"cells": (), "columns": {}}, "{}"),
    ],
)
def test_a_row_is_stored_as_it_was_uploaded(uploaded, stored):
    """Its cells alone: the job has the names of the columns. Of rows of version 0.1.0: by name, as they came."""
    assert record_of(HISTORY.created(2).model_copy(update=uploaded)).columns == stored


def test_a_first_result_is_counted_once_under_its_round_status_and_time():
    """That is what the counts of a job and its pace are made of."""
    record = record_of(HISTORY.created(2))
    found = changes([record], {}, {})
    assert found.rows == [record]
    assert found.tallies == {("job-1", 1, "created"): 1}
    assert found.pace == {("job-1", slot_of(record.finished_at)): 1}


def test_a_result_that_comes_again_writes_nothing():
    """Twice is once."""
    record = record_of(HISTORY.created(2))
    assert changes([record, record], stored_row(record), {}).rows == []


def test_of_two_results_in_one_batch_the_higher_round_counts():
    """Whichever was read first."""
    earlier, later = record_of(HISTORY.failed(2)), record_of(HISTORY.created(2, round_=2))
    for batch in ([earlier, later], [later, earlier]):
        assert changes(batch, {}, {}).tallies == {("job-1", 2, "created"): 1}


def test_a_result_that_takes_the_place_of_another_takes_it_out_of_the_counts():
    """Of the tallies and of the pace."""
    earlier, later = record_of(HISTORY.failed(2, seconds=1)), record_of(HISTORY.created(2, round_=2, seconds=100))
    found = changes([later], stored_row(earlier), {})
    assert found.tallies == {("job-1", 2, "created"): 1, ("job-1", 1, "failed"): -1}
    assert sorted(found.pace.values()) == [-1, 1]


@pytest.mark.parametrize(
    ("hospitals", "counts"), [((None, 77), "77"), ((77, None), "77"), ((77, 78), "78"), ((77, None, 78, None), "78")]
)
def test_the_last_hospital_that_was_found_for_a_row_is_the_one_that_counts(hospitals, counts):
    """Somebody looked again, and found it after all; or did not find it, which takes nothing back."""
    unknown = record_of(HISTORY.failed(2, code=RowErrorCode.OUTCOME_UNKNOWN))
    decided = [decision_of(HISTORY.resolved(2, found, seconds=5)) for found in hospitals]
    [row] = changes_by_decision([unknown], counting(decided), {}).rows
    assert (row.status, row.hospital_id, row.error) == ("created", counts, None)


def test_a_hospital_known_to_be_absent_leaves_its_row_failed_and_names_who_looked():
    """It can be retried."""
    unknown = record_of(HISTORY.failed(2, code=RowErrorCode.OUTCOME_UNKNOWN))
    [row] = changes_by_decision([unknown], counting([decision_of(HISTORY.resolved(2, None))]), {}).rows
    assert (row.status, row.error) == ("failed", "ann looked: it is not in the directory.")


def test_a_decision_about_another_round_changes_nothing():
    """The row ran again meanwhile."""
    unknown = record_of(HISTORY.failed(2, round_=2, code=RowErrorCode.OUTCOME_UNKNOWN))
    assert changes_by_decision([unknown], counting([decision_of(HISTORY.resolved(2, 77))]), {}).rows == []
