"""Corrections and limits on failures with status as a process, on a real broker: each command once, whoever dies."""

from collections import Counter
from uuid import uuid4

import pytest

from deploy.local.ports import free_port as some_free_port
from shared.contract.events import BatchActivationRequested, CancelReason, JobCancelRequested, RowFailed, RowUnprocessed
from shared.runtime.kafka.partitions import partition_of
from shared.runtime.settings import KafkaSettings
from tests.support.status.job_histories import JobHistory
from tests.support.status.status_service import API, StatusService, eventually

PARTITIONS = 2


def job_in(partition, total, batches=1):
    """A job that nobody else has, whose events lie in that partition."""
    job_id = str(uuid4())
    while partition_of(job_id.encode(), PARTITIONS) != partition:
        job_id = str(uuid4())
    return JobHistory(total=total, batches=batches, job_id=job_id)


@pytest.fixture
def settings(kafka_bootstrap, topic_prefix):
    """An installation of its own on the shared broker."""
    return KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=PARTITIONS
    )


async def commands(service, kind):
    """All events of a kind on hospital.jobs."""
    return [event for event in await service.read(service.topics.jobs) if isinstance(event, kind)]


async def test_the_batches_of_a_chain_are_activated_once_whichever_replica_dies(
    settings, postgres_url, free_port, tmp_path
):
    """Two replicas have a partition each, and a job of the chain in it. A rebuild afterwards sends nothing."""
    old, new = job_in(0, total=4, batches=2), job_in(1, total=1)
    old_id, new_id = old.about["job_id"], new.about["job_id"]
    first = StatusService(settings, postgres_url, free_port, tmp_path / "first.log")
    assert await first.run("migrate") == 0
    async with first, StatusService(settings, postgres_url, some_free_port(), tmp_path / "second.log") as second:
        await second.ready()
        await first.write(old.accepted(), *(old.created(row) for row in (2, 3, 4)), old.failed(5))
        await first.shows(old_id, status="completed", outcome="some_failed")
        await first.write(new.corrects(old, [5]))
        await second.shows(old_id, corrected_hospitals=1, corrected_by=[new_id])
        refused = await second.http.post(f"{API}/jobs/{old_id}/retry")
        assert (refused.status_code, refused.json()["error_type"]) == (409, "nothing_to_retry")
        await first.write(new.created(2))
        await first.kill()
        await second.shows(old_id, outcome="all_created_after_correction", activated=False)

        async def are_requested():
            return len(await commands(second, BatchActivationRequested)) >= 2

        await eventually(are_requested)
        await first.start()
        await first.ready()
        assert await first.run("rebuild") == 0
        await second.kill()
        expected = {f"{batch}:BatchActivationRequested:corrected:1" for batch in old.batch_ids}
        await first.write(*(old.activated(number, "corrected:1") for number in (0, 1)))
        answer = await first.shows(old_id, activated=True)
        assert answer["message"] == "All 4 hospitals created, 1 of them after correction, and activated"
        requests = await commands(first, BatchActivationRequested)
        assert Counter(request.event_id for request in requests) == Counter(expected)


async def test_a_job_that_goes_wrong_is_stopped_once_and_a_choice_of_its_rows_runs_again(settings, free_port, tmp_path):
    """Its owner is killed between two failures; the rows that were not chosen keep their result."""
    job = job_in(0, total=6)
    job_id = job.about["job_id"]
    async with StatusService(settings, f"sqlite:///{tmp_path}/a.db", free_port, tmp_path / "a.log") as service:
        await service.write(job.accepted(max_failures=1), job.failed(2), job.created(3))
        await service.shows(job_id, failed_hospitals=1, cancel_reason=None)
        await service.kill()
        await service.write(job.failed(4))
        await service.start()
        answer = await service.shows(job_id, cancel_reason="max_failures")
        assert answer["message"].startswith("Stopped, since more than 1 failed: 3 of 6 hospitals")
        await service.write(job.failed(5), *(job.unprocessed(row) for row in (6, 7)))
        answer = await service.shows(job_id, status="cancelled", outcome="cancelled")
        assert answer["message"].startswith("Stopped, since more than 1 failed: 1 of 6 hospitals created")
        [stop] = await commands(service, JobCancelRequested)
        assert (stop.reason, stop.round) == (CancelReason.MAX_FAILURES, 1)

        answer = await service.http.post(f"{API}/jobs/{job_id}/retry", json={"codes": ["unprocessed"]})
        assert answer.json()["message"] == "2 hospitals run again, as round 2."

        async def are_written():
            return len(await service.read(service.topics.rows_express)) == 2

        await eventually(are_written)
        assert sorted(event.row for event in await service.read(service.topics.rows_express)) == [6, 7]
        carried = [event for event in await service.read(service.topics.results) if event.round == 2]
        assert {(type(event), event.row, event.carried_over) for event in carried} == {
            (RowFailed, row, True) for row in (2, 4, 5)
        }
        await service.write(job.created(6, round_=2), job.failed(7, round_=2))
        answer = await service.shows(job_id, status="completed", created_hospitals=2, failed_hospitals=4)
        assert (answer["cancel_reason"], len(await commands(service, JobCancelRequested))) == (None, 1)
        assert not any(isinstance(event, RowUnprocessed) for event in carried)
