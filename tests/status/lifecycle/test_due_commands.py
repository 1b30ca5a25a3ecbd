"""Commands that no person gives: each once, by the owner of the job's partition, until it has been read back."""

import asyncio

import pytest
from aiokafka import TopicPartition

from services.status.lifecycle.due_commands import DueCommands
from services.status.model.job_state import DueCommand
from services.status.projection.positions import Positions
from services.status.tables.change_signal import ChangeSignal
from shared.contract.events import BatchActivationRequested, CancelReason, JobCancelRequested, JobOutcome
from shared.runtime.kafka.publisher import KafkaUnavailable
from tests.support.status.job_histories import SETTLING_SECONDS, JobHistory, apply_events
from tests.support.status.status_api import JOBS, FakePublisher

OLD = JobHistory(total=4, batches=2, job_id="old")
NEW = JobHistory(total=1, job_id="new")
CORRECTED = [
    OLD.accepted(),
    *(OLD.created(row) for row in (2, 3, 4)),
    OLD.failed(5),
    OLD.finished(JobOutcome.SOME_FAILED),
    NEW.corrects(OLD, [5]),
    NEW.created(2, seconds=12),
    NEW.finished(JobOutcome.ALL_CREATED, seconds=13),
]
STOPPED = JobHistory(total=5, job_id="stopped")
TOO_MANY = [STOPPED.accepted(max_failures=1), STOPPED.failed(2), STOPPED.failed(3)]


async def send_due(due):
    """All kinds of commands."""
    for command in DueCommand:
        await due.send_due(command)


@pytest.fixture
def publisher():
    return FakePublisher()


@pytest.fixture
def positions():
    """Partition 0 of hospital.jobs, at its end."""
    positions = Positions()
    positions.assign([TopicPartition(JOBS, 0)])
    positions.place({TopicPartition(JOBS, 0): 8})
    positions.observe_end(TopicPartition(JOBS, 0), 8)
    return positions


@pytest.fixture
def due(engine, publisher, positions):
    """The owner of that partition."""
    return DueCommands(engine, publisher, JOBS, positions, ChangeSignal(), SETTLING_SECONDS)


async def test_when_nothing_of_a_chain_is_open_each_batch_of_the_old_job_is_activated(due, publisher, engine):
    """Under an id that is the same however often it is sent; nobody gave the command."""
    await apply_events(engine, *CORRECTED)
    await send_due(due)
    assert [type(event) for event in publisher.sent] == [BatchActivationRequested] * 2
    assert {(event.batch_id, event.request_id) for event in publisher.sent} == {
        ("old-batch-0", "corrected:1"),
        ("old-batch-1", "corrected:1"),
    }
    assert {(event.tenant, event.job_id, event.requested_by) for event in publisher.sent} == {("north", "old", "")}
    await send_due(due)
    assert len(publisher.sent) == 2, "they are on their way back"
    await apply_events(engine, *publisher.sent)
    await send_due(due)
    assert len(publisher.sent) == 2


@pytest.mark.parametrize("read_back", [0, 1, 2])
async def test_who_takes_over_sends_only_what_was_not_read_back(due, publisher, positions, engine, read_back):
    """The former owner was killed after it had sent both: the partition is read to its end first."""
    await apply_events(engine, *CORRECTED)
    await send_due(due)
    await apply_events(engine, *publisher.sent[:read_back])
    again = FakePublisher()
    await send_due(DueCommands(engine, again, JOBS, positions, ChangeSignal(), SETTLING_SECONDS))
    assert [event.event_id for event in again.sent] == [event.event_id for event in publisher.sent[read_back:]]


async def test_a_correction_with_an_open_row_activates_nothing(due, publisher, engine):
    """Nor does one that has not been finished."""
    await apply_events(engine, *CORRECTED[:-1])
    await send_due(due)
    failed = [NEW.corrects(OLD, [5]), NEW.failed(2, seconds=12), NEW.finished(JobOutcome.NONE_CREATED, seconds=13)]
    await apply_events(engine, *failed)
    await send_due(due)
    assert publisher.sent == []


async def test_more_failures_than_the_upload_allows_stop_the_job_once(due, publisher, engine):
    """By a cancel that says why; `0` stops at the first one."""
    await apply_events(engine, *TOO_MANY[:-1])
    await send_due(due)
    assert publisher.sent == [], "as many as are allowed"
    await apply_events(engine, TOO_MANY[-1])
    await send_due(due)
    await send_due(due)
    [event] = publisher.sent
    assert isinstance(event, JobCancelRequested)
    assert (event.job_id, event.round, event.reason, event.requested_by) == (
        "stopped",
        1,
        CancelReason.MAX_FAILURES,
        "",
    )
    assert (event.settles_at - event.occurred_at).total_seconds() == SETTLING_SECONDS
    await apply_events(engine, event, STOPPED.failed(4))
    await send_due(due)
    assert len(publisher.sent) == 1


async def test_failures_are_counted_anew_in_each_round(due, publisher, engine):
    """Without those that were carried over: they did not run."""
    rest = [STOPPED.unprocessed(4), STOPPED.unprocessed(5), STOPPED.unprocessed(6)]
    await apply_events(engine, *TOO_MANY, STOPPED.cancelled(), *rest, STOPPED.finished(JobOutcome.CANCELLED))
    carried = [STOPPED.failed(row, round_=2, seconds=7, carried_over=True) for row in (2, 3)]
    await apply_events(engine, STOPPED.retried(2), *carried, STOPPED.failed(4, round_=2, seconds=8))
    await send_due(due)
    assert publisher.sent == []
    await apply_events(engine, STOPPED.failed(5, round_=2, seconds=9))
    await send_due(due)
    assert [event.round for event in publisher.sent] == [2]


@pytest.mark.parametrize(
    "events",
    [
        [*TOO_MANY, STOPPED.cancelled()],
        [*TOO_MANY, *(STOPPED.failed(row) for row in (4, 5, 6))],
        [STOPPED.accepted(), *TOO_MANY[1:]],
        TOO_MANY[1:],
    ],
)
async def test_a_job_that_needs_no_stop_gets_none(due, publisher, engine, events):
    """A person has cancelled it, every row has its result, it has no limit, or it is not known yet."""
    await apply_events(engine, *events)
    await send_due(due)
    assert publisher.sent == []


async def test_nothing_is_sent_before_the_partition_was_read_to_its_end(publisher, engine):
    """Else tables that are made again would stop and activate what has ended long ago."""
    await apply_events(engine, *CORRECTED, *TOO_MANY)
    positions = Positions()
    positions.assign([TopicPartition(JOBS, 0)])
    await send_due(DueCommands(engine, publisher, JOBS, positions, ChangeSignal(), SETTLING_SECONDS))
    assert publisher.sent == []


async def test_what_could_not_be_sent_stays_due(due, publisher, engine):
    """Kafka is away for a moment."""
    await apply_events(engine, *TOO_MANY)
    publisher.down = True
    with pytest.raises(KafkaUnavailable):
        await send_due(due)
    publisher.down = False
    await send_due(due)
    assert len(publisher.sent) == 1


async def test_a_stop_does_not_wait_for_activations(positions, sqlite):
    """A chain of a thousand batches takes long to activate, and Kafka may be slow."""
    await apply_events(sqlite, *CORRECTED)
    activating, stopped = asyncio.Event(), asyncio.Event()

    class SlowForActivations(FakePublisher):
        async def send(self, topic, event, seconds):
            if isinstance(event, BatchActivationRequested):
                activating.set()
                await asyncio.Event().wait()
            stopped.set()

    slow, signal = SlowForActivations(), ChangeSignal()
    due = DueCommands(sqlite, slow, JOBS, positions, signal, SETTLING_SECONDS, poll_seconds=0.01)
    running = asyncio.create_task(due.run())
    async with asyncio.timeout(20):
        await activating.wait()
        await apply_events(sqlite, *TOO_MANY)
        await stopped.wait()
    running.cancel()
