"""What events are called on the topics: keys decide the order, ids say which events are the same."""

from datetime import timedelta

import pytest

from shared.contract.events import (
    Event,
    JobCancelRequested,
    JobEvent,
    ProcessorReported,
    RowAccepted,
    RowCreated,
    RowResolved,
    SendingPaused,
    SendingResumed,
    now,
)

ROW = {"tenant": "t", "job_id": "j", "batch_id": "b", "row": 7, "round": 2, "name": "St. Mary"}


def test_a_row_is_keyed_by_itself_and_its_result_by_its_job():
    """Rows of a job spread over all partitions; its results stay in order."""
    accepted = RowAccepted(**ROW, address="Harbour Road")
    created = RowCreated(**ROW, attempts=1, started_at=now(), hospital_id=1)
    assert (accepted.key, created.key) == ("j:7", "j")


def test_a_row_and_its_result_have_the_id_of_row_and_round():
    """However often a crash makes them appear, they are recognised."""
    assert RowAccepted(**ROW, address="Harbour Road").event_id == "j:7:2"


def test_each_round_is_cancelled_by_an_event_of_its_own():
    """A second click is the same event, a cancel of the next round is another."""
    first, again, next_round = (JobCancelRequested(tenant="t", job_id="j", round=n) for n in (1, 1, 2))
    assert first.event_id == again.event_id != next_round.event_id


def test_a_second_decision_about_a_row_is_an_event_of_its_own():
    """Absent at first, found later; the same decision written twice is one event."""
    absent = RowResolved(tenant="t", job_id="j", row=7, hospital_id=None, resolved_by="clerk", occurred_at=now())
    found = absent.model_copy(update={"hospital_id": 5, "occurred_at": absent.occurred_at + timedelta(seconds=9)})
    assert absent.event_id == absent.model_copy().event_id != found.event_id


def test_pause_and_resume_stay_in_order():
    """They share a key, so a partition, so an order."""
    assert SendingPaused(request_id="1").key == SendingResumed(request_id="2").key


def test_every_report_of_a_processor_replaces_its_last():
    """The key is the processor, which is what compaction goes by."""
    report = ProcessorReported(instance="p-1", breaker="closed")
    assert report.key == "p-1"
    assert report.event_id.startswith("p-1:")


@pytest.mark.parametrize("row", [-1, 0])
def test_a_row_before_the_first_is_refused(row):
    """Row 1 is the header in most files, and data where there is none."""
    with pytest.raises(ValueError, match="row"):
        RowAccepted(**{**ROW, "row": row}, address="Harbour Road")


def test_a_time_without_a_zone_is_refused():
    """Nobody could say when it was."""
    with pytest.raises(ValueError, match="timezone"):
        JobEvent(tenant="t", job_id="j", occurred_at="2026-03-02T09:00:00")


@pytest.mark.parametrize("name", ["event_id", "key"])
def test_an_event_without_an_id_or_key_of_its_own_says_so(name):
    """A new event cannot be forgotten half way."""
    with pytest.raises(NotImplementedError, match=name):
        getattr(Event(), name)
