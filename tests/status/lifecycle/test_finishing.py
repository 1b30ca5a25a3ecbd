"""JobFinished: sent for every round that is complete, and not when it is in the topic already."""

import asyncio
import hashlib

import pytest
from aiokafka import TopicPartition

from services.status.lifecycle.finishing import Finishing, FinishingLimits
from services.status.projection.positions import Positions
from services.status.tables.change_signal import ChangeSignal
from shared.contract.events import JobOutcome, RowErrorCode
from shared.contract.outcomes_tree import OutcomesTree, outcomes_root
from shared.runtime.kafka.publisher import KafkaUnavailable
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.status_api import JOBS, FakePublisher


@pytest.fixture
def publisher():
    return FakePublisher()


@pytest.fixture
def positions():
    """Partition 0 of hospital.jobs, at its beginning."""
    positions = Positions()
    positions.assign([TopicPartition(JOBS, 0)])
    positions.place({TopicPartition(JOBS, 0): 8})
    return positions


@pytest.fixture
def finishing(sqlite, publisher, positions):
    """The owner of that partition, caught up with it."""
    positions.observe_end(TopicPartition(JOBS, 0), 8)
    return Finishing(sqlite, publisher, JOBS, positions, ChangeSignal())


async def test_a_complete_round_is_finished_with_its_counts(finishing, publisher, sqlite):
    """Under an id that is the same however often it is sent."""
    job = JobHistory(total=3, batches=2)
    await apply_events(sqlite, job.accepted(), job.created(2), job.failed(3), job.created(4))
    await finishing.send_due()
    [event] = publisher.sent
    assert (event.tenant, event.job_id, event.event_id) == ("north", "job-1", "job-1:JobFinished:1")
    assert (event.round, event.outcome, event.batch_ids) == (1, JobOutcome.SOME_FAILED, job.batch_ids)
    counts = (event.total_hospitals, event.created_hospitals, event.failed_hospitals, event.unprocessed_hospitals)
    assert counts == (3, 2, 1, 0)
    assert event.outcomes_sha256 == hashlib.sha256(b"2:created:20\n3:failed:\n4:created:40\n").hexdigest()
    tree, cells = OutcomesTree(), ("1 Long Street", "12")
    tree.add(2, "created", 20, ["Hospital 2", *cells])
    tree.add(3, "failed", None, ["Hospital 3", *cells])
    tree.add(4, "created", 40, ["Hospital 4", *cells])
    assert (event.outcome_roots, event.outcomes_root) == (tree.roots(), outcomes_root(tree.roots()))


async def test_the_manifest_says_what_people_settled(finishing, publisher, sqlite):
    """The row is created, with the hospital that somebody found."""
    job = JobHistory(total=2)
    unknown = job.failed(3, code=RowErrorCode.OUTCOME_UNKNOWN)
    await apply_events(sqlite, job.accepted(), job.created(2, hospital_id="h"), unknown)
    await finishing.send_due()
    await apply_events(sqlite, publisher.sent[0], job.resolved(3, 77))
    await finishing.send_due()
    first, second = publisher.sent
    assert (first.round, first.outcome) == (1, JobOutcome.SOME_FAILED)
    assert (second.round, second.outcome, second.created_hospitals) == (2, JobOutcome.ALL_CREATED, 2)
    assert second.outcomes_sha256 == hashlib.sha256(b"2:created:h\n3:created:77\n").hexdigest()


async def test_a_large_job_is_read_in_pages_and_does_not_hold_up_the_others(publisher, sqlite, positions):
    """It is finished beside them."""
    positions.observe_end(TopicPartition(JOBS, 0), 8)
    limits = FinishingLimits(large_job_rows=6, page_rows=3)
    finishing = Finishing(sqlite, publisher, JOBS, positions, ChangeSignal(), limits)
    large, small = JobHistory(total=7), JobHistory(total=1, job_id="job-2")
    await apply_events(
        sqlite, large.accepted(), *(large.failed(row) for row in range(2, 9)), small.accepted(), small.failed(2)
    )
    await finishing.send_due()
    await finishing.send_due(large=True)
    assert [event.job_id for event in publisher.sent] == ["job-2", "job-1"]
    lines = "".join(f"{row}:failed:\n" for row in range(2, 9))
    assert publisher.sent[1].outcomes_sha256 == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (JobHistory.created, JobOutcome.ALL_CREATED),
        (JobHistory.failed, JobOutcome.NONE_CREATED),
        (JobHistory.unprocessed, JobOutcome.CANCELLED),
    ],
)
async def test_the_outcome_is_what_became_of_the_rows(finishing, publisher, sqlite, row, outcome):
    """As the design says."""
    job = JobHistory(total=1)
    await apply_events(sqlite, job.accepted(), row(job, 2))
    await finishing.send_due()
    assert [event.outcome for event in publisher.sent] == [outcome]


async def test_an_incomplete_round_is_not_finished(finishing, publisher, sqlite):
    """One row is missing; or the job itself is not known yet."""
    await apply_events(
        sqlite, JobHistory(total=2).accepted(), JobHistory(total=2).created(2), JobHistory(1, job_id="job-2").created(2)
    )
    await finishing.send_due()
    assert publisher.sent == []


async def test_a_finish_that_was_read_back_is_not_sent_again(finishing, publisher, sqlite):
    """Also after a restart."""
    job = JobHistory(total=1)
    await apply_events(sqlite, job.accepted(), job.created(2), job.finished(JobOutcome.ALL_CREATED))
    await finishing.send_due()
    assert publisher.sent == []


async def test_a_finish_is_sent_once_while_it_is_on_its_way_back(finishing, publisher, sqlite):
    """The projection reads it a moment later."""
    job = JobHistory(total=1)
    await apply_events(sqlite, job.accepted(), job.created(2))
    await finishing.send_due()
    await finishing.send_due()
    assert len(publisher.sent) == 1


async def test_a_retry_is_finished_too(finishing, publisher, sqlite):
    """Each round once."""
    job = JobHistory(total=2)
    await apply_events(sqlite, job.accepted(), job.created(2), job.failed(3), job.finished(JobOutcome.SOME_FAILED))
    await apply_events(sqlite, job.retried(2), job.created(3, round_=2))
    await finishing.send_due()
    assert [(event.round, event.outcome) for event in publisher.sent] == [(2, JobOutcome.ALL_CREATED)]


async def test_nothing_is_sent_before_the_partition_was_read_to_its_end(sqlite, publisher, positions):
    """A rebuild finds every JobFinished first, and re-activates nothing."""
    positions.observe_end(TopicPartition(JOBS, 0), 9)
    job = JobHistory(total=1)
    await apply_events(sqlite, job.accepted(), job.created(2))
    await Finishing(sqlite, publisher, JOBS, positions, ChangeSignal()).send_due()
    assert publisher.sent == []


async def test_only_the_owner_of_a_jobs_partition_finishes_it(sqlite, publisher, positions):
    """This replica has partition 1 now; the job is in partition 0."""
    positions.assign([TopicPartition(JOBS, 1)])
    positions.place({TopicPartition(JOBS, 1): 8})
    positions.observe_end(TopicPartition(JOBS, 1), 8)
    job = JobHistory(total=1)
    await apply_events(sqlite, job.accepted(), job.created(2))
    await Finishing(sqlite, publisher, JOBS, positions, ChangeSignal()).send_due()
    assert publisher.sent == []


async def test_a_finish_that_kafka_did_not_take_stays_due(finishing, publisher, sqlite):
    """It is sent when Kafka is back."""
    job = JobHistory(total=1)
    await apply_events(sqlite, job.accepted(), job.created(2))
    publisher.down = True
    with pytest.raises(KafkaUnavailable):
        await finishing.send_due()
    publisher.down = False
    await finishing.send_due()
    assert len(publisher.sent) == 1


class BreakingPublisher(FakePublisher):
    """Raises what nobody expects, the first time."""

    broke = False

    async def send(self, topic, event, timeout):
        if not self.broke:
            self.broke = True
            raise RuntimeError("an error of a driver")
        await super().send(topic, event, timeout)


async def test_an_error_that_nobody_expects_does_not_end_the_work(sqlite, positions):
    """Else no job would be finished any more, without a word."""
    positions.observe_end(TopicPartition(JOBS, 0), 8)
    publisher = BreakingPublisher()
    finishing = Finishing(sqlite, publisher, JOBS, positions, ChangeSignal(), FinishingLimits(poll_seconds=0.01))
    job = JobHistory(total=1)
    await apply_events(sqlite, job.accepted(), job.created(2))
    running = asyncio.create_task(finishing.run())
    async with asyncio.timeout(10):
        await publisher.something_sent.wait()
    running.cancel()
    assert publisher.broke
