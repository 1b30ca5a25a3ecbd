"""Activations in a lane: its permit, its commits, and none that keeps another waiting."""

import asyncio

import pytest

from services.processor.activation.transitions import after_activation
from services.processor.directory.outcomes import Activated, Listed, Unanswered
from shared.contract.events import (
    BatchActivated,
    BatchActivationFailed,
    BatchActivationRequested,
    JobCancelRequested,
    JobFinished,
    JobOutcome,
)
from tests.support.processor.lane_doubles import Clock, accepted, admit, beginning, make_lane

EXPRESS, JOBS = "hospital.rows.express", "hospital.jobs"


@pytest.fixture
def clock():
    """The lane's time."""
    return Clock()


def finished(job, *batches):
    return JobFinished(
        tenant="t",
        job_id=job,
        outcome=JobOutcome.ALL_CREATED,
        total_hospitals=1,
        created_hospitals=1,
        failed_hospitals=0,
        unprocessed_hospitals=0,
        batch_ids=batches or (f"batch of {job}",),
    )


def next_activation(lane):
    return next(lane.activations.offers(), None)


def call_begins(lane):
    activation = next_activation(lane)
    lane.activations.call_begins(activation)
    return activation


def end(lane, outcome):
    """The lane's next activation is sent, and ends so."""
    activation = call_begins(lane)
    before = activation.progress
    lane.activations.apply(
        activation, *after_activation(activation.request, before, outcome, 3, lambda failures: 0.01 * failures)
    )
    lane.activations.call_ended()
    return activation.request.batch_id


async def test_its_answer_and_its_offset_are_of_one_commit(clock):
    """Nothing is sent before the permit; the record is done when all its batches are answered."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, finished("job", "a", "b"), topic=JOBS)
    assert next_activation(lane) is None, "no commit has permitted anything yet"
    await lane.committer.commit()
    assert end(lane, Activated("done")) == "a"
    await lane.committer.commit()
    assert transactions.marks[JOBS].offset == 0
    assert end(lane, Activated("done")) == "b"
    await lane.committer.commit()
    assert transactions.marks[JOBS].offset == 1
    assert [(type(event), event.batch_id) for event in transactions.events] == [
        (BatchActivated, "a"),
        (BatchActivated, "b"),
    ]
    assert {topic for records, _ in transactions.commits for topic, *_ in records} == {JOBS}


async def test_events_that_ask_for_nothing_are_done_at_once(clock):
    """The topic of jobs has many of them, and no lag."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, *[JobCancelRequested(tenant="t", job_id=f"j{n}") for n in range(5)], topic=JOBS)
    assert lane.committer.is_due()
    await lane.committer.commit()
    assert transactions.marks[JOBS].offset == 5
    assert not lane.committer.is_due()


async def test_a_lane_that_waits_with_an_activation_keeps_its_permit(clock):
    """It has work, also without rows: it commits three times a lease."""
    lane, _ = make_lane(beginning(), clock=clock)
    admit(lane, finished("job"), topic=JOBS)
    await lane.committer.commit()
    assert next_activation(lane) is not None
    clock.now += 4
    assert next_activation(lane) is None, "the lease has ended"
    assert lane.committer.is_due()
    await lane.committer.commit()
    assert next_activation(lane) is not None


async def test_a_batch_that_cannot_be_activated_keeps_nobody_waiting(clock):
    """The directory answers 504 to it and is well otherwise; 1,200 events later five jobs are activated, it fails."""
    lane, transactions = make_lane(beginning(), clock=clock)
    noise = [JobCancelRequested(tenant="t", job_id=f"j{n}") for n in range(1200)]
    admit(lane, finished("sick"), *noise, *[finished(f"good{n}") for n in range(5)], topic=JOBS)
    await lane.committer.commit()
    for _ in range(100):
        while (first := next_activation(lane)) is not None:
            sick = first.request.job_id == "sick"
            well = Listed(()) if first.progress.look_up_first else Unanswered("upstream timed out", 504)
            end(lane, well if sick else Activated("ok"))
        await asyncio.sleep(0.01)
        if len(transactions.events) == 6:
            break
        await lane.committer.commit()
    answers = {event.job_id: event for event in transactions.events}
    assert [type(answers[f"good{n}"]) for n in range(5)] == [BatchActivated] * 5
    assert isinstance(answers["sick"], BatchActivationFailed)
    assert "upstream timed out" in answers["sick"].message
    assert transactions.marks[JOBS].offset == 1206


async def test_a_hand_over_waits_for_an_activation_under_way(clock):
    """`released` says that nothing is under way."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, finished("job"), topic=JOBS)
    await lane.committer.commit()
    call_begins(lane)
    leaving = asyncio.create_task(lane.hand_over())
    await asyncio.sleep(0.01)
    assert not leaving.done()
    lane.activations.call_ended()
    await leaving
    assert transactions.marks[JOBS].released
    assert next_activation(lane) is None


async def test_the_window_of_jobs_takes_no_room_from_rows(clock):
    """A directory that is away for a day holds up requests, and no row that could be delivered."""
    lane, _ = make_lane(beginning(), clock=clock)
    admit(lane, *[finished(f"job{n}") for n in range(9_950)], topic=JOBS)
    admit(lane, accepted(2))
    assert lane.has_room(EXPRESS, 9_999)
    assert lane.has_room(JOBS, 50)
    assert not lane.has_room(JOBS, 51)


async def test_the_request_that_failed_least_is_next(clock):
    """One that always fails must not keep the breaker open for the others."""
    lane, _ = make_lane(beginning(), clock=clock)
    admit(lane, finished("job", "sick", "good"), topic=JOBS)
    await lane.committer.commit()
    assert end(lane, Unanswered("late")) == "sick"
    await asyncio.sleep(0.03)
    assert next_activation(lane).request.batch_id == "good"


async def test_requests_of_a_lane_that_has_ended_are_left_to_its_next_owner(clock):
    """Its group has not passed them."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, BatchActivationRequested(tenant="t", job_id="job", batch_id="a", request_id="r"), topic=JOBS)
    await lane.committer.commit()
    activation = call_begins(lane)
    lane.close()
    lane.activations.apply(
        activation, *after_activation(activation.request, activation.progress, Activated("done"), 3, float)
    )
    assert transactions.events == []
    assert next_activation(lane) is None
