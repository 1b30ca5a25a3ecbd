"""Which batches are activated, and what the directory's answers lead to."""

import asyncio
import time

import pytest

from services.processor.activation.activations import Activation, Activations, requested_by
from services.processor.activation.group_lease import GroupLease
from services.processor.directory.outcomes import (
    Activated,
    Conflicted,
    ConnectionFailed,
    NotSent,
    Rejected,
    ServerError,
    ServiceRejected,
    Throttled,
    Unanswered,
)
from services.processor.limits.backoff import Backoff
from shared.contract.events import (
    BatchActivated,
    BatchActivationFailed,
    BatchActivationRequested,
    JobCancelRequested,
    JobFinished,
    JobOutcome,
)
from tests.support.processor.lane_doubles import Clock


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


def held(seconds=60.0):
    """A lease that has just been renewed."""
    lease = GroupLease(seconds)
    lease.renew(time.monotonic())
    return lease


def test_a_job_whose_rows_were_all_created_has_its_batches_activated():
    """And its event is done when the last of them is."""
    done = []
    first, second = requested_by(finished(), held(), lambda: done.append(True))
    assert [(each.batch_id, each.request_id) for each in (first, second)] == [("a", "finished:1"), ("b", "finished:1")]
    first.done()
    assert not done
    second.done()
    assert done == [True]


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
    assert requested_by(event, held(), lambda: None) == []


def test_a_request_by_hand_is_for_one_batch():
    """Its answer carries the request's id."""
    event = BatchActivationRequested(tenant="t", job_id="job", batch_id="a", request_id="r1")
    [activation] = requested_by(event, held(), lambda: None)
    assert (activation.batch_id, activation.request_id) == ("a", "r1")


@pytest.fixture
def published():
    return []


@pytest.fixture
def activations(published):
    async def publish(event):
        published.append(event)

    return Activations(2, Backoff(0.02, 0.03), publish, lambda: None)


def request(done=lambda: None, lease=None, **changes):
    return Activation("t", "job", "a", "r1", lease or held(), done, **changes)


async def test_success_is_published_and_then_done(activations, published):
    """In this order: a crash in between repeats the activation, and its answer has the same id."""
    await activations.record_outcome(request(lambda: published.append("done")), Activated("2 activated"))
    answer, after = published
    assert isinstance(answer, BatchActivated)
    assert (answer.message, after) == ("2 activated", "done")


@pytest.mark.parametrize("outcome", [Rejected(404, "no such batch"), Conflicted("no")])
async def test_a_rejection_is_published_with_the_directorys_message(activations, published, outcome):
    """Asking again would not change it."""
    await activations.record_outcome(request(), outcome)
    [answer] = published
    assert isinstance(answer, BatchActivationFailed)
    assert (answer.message, answer.http_status) == (outcome.message, outcome.status)


async def test_500s_fail_after_the_last_attempt(activations, published):
    """Before that it is sent again."""
    activation = request()
    await activations.record_outcome(activation, ServerError("boom"))
    assert published == []
    await asyncio.sleep(0.06)
    assert activations.take() is activation
    await activations.record_outcome(activation, ServerError("boom"))
    assert isinstance(published[0], BatchActivationFailed)


@pytest.mark.parametrize("outcome", [ConnectionFailed("refused"), Unanswered("late"), ServiceRejected(401, "no")])
async def test_an_outage_costs_no_activation(activations, published, outcome):
    """However often it happens."""
    activation = request()
    for _ in range(4):
        await activations.record_outcome(activation, outcome)
        assert activations.ready == 0
        await asyncio.sleep(0.06)
        assert activations.take() is activation
    assert published == []


@pytest.mark.parametrize("outcome", [NotSent(), Throttled(1.0)])
async def test_what_was_not_sent_is_retried_at_once(activations, outcome):
    """The rate limit says when."""
    activation = request()
    await activations.record_outcome(activation, outcome)
    assert activations.take() is activation
    assert activations.take() is None


async def test_nothing_is_sent_before_kafka_has_taken_a_commit_nor_a_lease_after_it(activations):
    """A processor that was frozen or replaced finds that its lease has ended."""
    clock = Clock()
    lease = GroupLease(60.0, clock=clock)
    activations.add(activation := request(lease=lease))
    assert (activations.ready, activations.take(), activations.least_failed()) == (0, None, None)
    lease.renew(clock.now)
    clock.now += 61
    assert activations.take() is None
    lease.renew(clock.now)
    assert activations.take() is activation


async def test_a_rebalance_drops_what_has_not_been_sent(activations):
    """Whoever has the partition now reads the request again."""
    lease = held()
    activations.add(request(lease=lease))
    in_flight = request(lease=lease)
    lease.ended = True
    activations.drop_ended()
    await activations.record_outcome(in_flight, NotSent())
    activations.add(own := request())
    assert activations.take() is own
    assert activations.take() is None


async def test_the_probe_is_the_request_that_failed_least(activations):
    """One that always fails must not keep the breaker open for the others."""
    activations.add(request(backoff_count=2))
    activations.add(fresh := request())
    assert activations.least_failed() is fresh
    activations.begin(fresh)
    assert activations.least_failed().backoff_count == 2
