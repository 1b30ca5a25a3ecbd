"""Which batches an event asks to activate."""

import pytest

from services.processor.activation.requests import read_requests, requested_by
from shared.contract.events import BatchActivationRequested, JobCancelRequested, JobFinished, JobOutcome
from tests.support.processor.lane_doubles import record


def finished(outcome=JobOutcome.ALL_CREATED, batches=("a", "b")):
    return JobFinished(
        tenant="t",
        job_id="job",
        outcome=outcome,
        total_hospitals=2,
        created_hospitals=2,
        failed_hospitals=0,
        unprocessed_hospitals=0,
        batch_ids=batches,
    )


def test_a_job_whose_rows_were_all_created_has_its_batches_activated():
    """Each for itself."""
    requests = requested_by(finished())
    assert [(each.batch_id, each.request_id) for each in requests] == [("a", "finished:1"), ("b", "finished:1")]


@pytest.mark.parametrize(
    "event",
    [
        finished(JobOutcome.SOME_FAILED),
        finished(JobOutcome.CANCELLED),
        JobCancelRequested(tenant="t", job_id="job"),
    ],
)
def test_nothing_else_is_activated_by_itself(event):
    """A partly failed or cancelled job stays as it is."""
    assert requested_by(event) == []
    assert read_requests(record(event, 0, "hospital.jobs")) == []


def test_a_request_by_hand_is_for_one_batch():
    """Its answer carries the request's id."""
    event = BatchActivationRequested(tenant="t", job_id="job", batch_id="a", request_id="r1")
    [request] = read_requests(record(event, 0, "hospital.jobs"))
    assert (request.batch_id, request.request_id) == ("a", "r1")
    assert request.activated("done").event_id == "a:BatchActivated:r1"
    assert request.failed("no", 404).http_status == 404


@pytest.mark.parametrize("ce_type", [b"JobFinished", b"BatchActivationRequested", b"Unheard", b"\xff"])
def test_what_cannot_be_decoded_asks_for_nothing(ce_type):
    """The status service gives it to the dead letters."""
    assert read_requests(record(None, 0, "hospital.jobs", value=b"{", headers=(("ce_type", ce_type),))) == []
