"""The beginning of real topics is deleted: nothing that anybody needs, and a rebuild finds every job whole."""

from datetime import timedelta
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.housekeeping.deletion import HousekeepingSettings, run_housekeeping
from services.ingest.keys.schema_version import migrate as migrate_ingest
from services.status.rebuild.rebuild import rebuild
from services.status.rebuild.shadow_tables import offsets_of
from services.status.settings import RebuildSettings
from shared.contract.cloud_events import encode
from shared.contract.events import JobAccepted, JobOutcome, RowAccepted, RowResult, now
from shared.runtime.databases import create_engine
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.topic_admin import wait_for_topics
from tests.support.status.job_histories import JobHistory, contents

AGO = 40 * 86_400


class Installation:
    """Topics and tables, and events written as of any time of the past."""

    def __init__(self, settings):
        self.settings = settings
        self.topics = settings.topics
        self.engine = create_engine(settings.url)
        self.producer = AIOKafkaProducer(**kafka_options.producer_options(settings))

    async def rebuild(self):
        said = []
        await rebuild(RebuildSettings(**self.settings.model_dump()), said.append)
        return said

    async def keep(self, **how):
        said = []
        await run_housekeeping(self.settings, said.append, **({"dry_run": False} | how))
        return said

    async def write(self, job, *events, age=AGO):
        """The events with the rows of the job, as old as that in seconds."""
        moment = now() - timedelta(seconds=age)
        for event in events:
            shifted = {name: moment for name in ("occurred_at", "started_at") if hasattr(event, name)}
            await self._send(event.model_copy(update=shifted), moment)
            if isinstance(event, JobAccepted):
                for row in range(2, job.total + 2):
                    await self._send(self._row(job, row), moment)

    def _row(self, job, row):
        about = {**job.about, "batch_id": job.batch_ids[0], "row": row, "name": "H", "cells": ("H", "1 Long Street")}
        return RowAccepted(**about, address="1 Long Street")

    async def _send(self, event, moment):
        topic = self.topics.jobs
        if isinstance(event, RowResult):
            topic = self.topics.results
        elif isinstance(event, RowAccepted):
            topic = self.topics.rows_bulk
        milliseconds = int(moment.timestamp() * 1000)
        await self.producer.send_and_wait(topic, **encode(event, "test").fields(), timestamp_ms=milliseconds)

    async def processed(self, *, all_but=0):
        """The processors' group has committed everything but the last rows."""
        consumer = AIOKafkaConsumer(
            **kafka_options.consumer_options(self.settings), group_id=self.topics.group("processor")
        )
        async with consumer:
            partitions = [TopicPartition(topic, 0) for topic in self.topics.rows]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            await consumer.commit({at: max(end - all_but, 0) for at, end in ends.items()})

    async def starts(self):
        """Where rows, results and jobs begin."""
        async with AIOKafkaConsumer(**kafka_options.consumer_options(self.settings)) as consumer:
            topics = (self.topics.rows_bulk, self.topics.results, self.topics.jobs)
            partitions = [TopicPartition(topic, 0) for topic in topics]
            begins = await consumer.beginning_offsets(partitions)
            return tuple(begins[at] for at in partitions)


@pytest.fixture
async def installation(kafka_bootstrap, topic_prefix, tmp_path):
    """An installation of one partition, so that old and new jobs stand behind one another."""
    settings = HousekeepingSettings(
        kafka_bootstrap_servers=kafka_bootstrap,
        kafka_topic_prefix=topic_prefix,
        kafka_topic_partitions=1,
        status_database_url=f"sqlite:///{tmp_path}/status.db",
        ingest_database_url=f"sqlite:///{tmp_path}/ingest.db",
    )
    ingest = create_engine(settings.ingest_url)
    await migrate_ingest(ingest)
    await ingest.dispose()
    await wait_for_topics(settings)
    installation = Installation(settings)
    async with installation.producer:
        yield installation
    await installation.engine.dispose()


def new_job():
    return JobHistory(total=2, job_id=str(uuid4()))


def ended(job):
    """All events of a job of which one row failed."""
    return job.accepted(), job.created(2), job.failed(3), job.finished(JobOutcome.SOME_FAILED)


async def job_ids(installation):
    return {row[0] for row in (await contents(installation.engine))["status_jobs"]}


async def test_what_only_old_jobs_needed_goes_and_the_others_are_found_whole(installation):
    """Two old jobs, one that is still running, one that ended yesterday, and another old one behind them."""
    first, second, running, recent, behind = (new_job() for _ in range(5))
    await installation.write(first, *ended(first))
    await installation.write(second, *ended(second))
    await installation.write(running, running.accepted(), running.created(2))
    await installation.write(recent, *ended(recent), age=86_400)
    await installation.write(behind, *ended(behind))
    said = await installation.rebuild()
    assert "Jobs left out, since they finished more than 30 days ago: 3." in said
    before = await contents(installation.engine)
    await installation.processed()

    would = await installation.keep(dry_run=True)
    assert await installation.starts() == (0, 0, 0)
    assert (
        f"{installation.topics.jobs}-0: would delete offsets 0 to 3; from 4 on kept: job {running.about['job_id']} is"
        in str(would)
    )
    deleted = await installation.keep()

    assert await installation.starts() == (4, 4, 4)
    assert [line.replace("deleted", "would delete") for line in deleted] == would
    assert all("nothing to delete" in line for line in await installation.keep())
    await installation.rebuild()
    assert await contents(installation.engine) == before
    assert await job_ids(installation) == {running.about["job_id"], recent.about["job_id"]}


async def test_results_stay_as_long_as_the_topic_of_jobs_tells_of_their_job(installation):
    """A job that ended before another one began, which is still there: a rebuild must not find half of it."""
    running, old = new_job(), new_job()
    await installation.write(running, running.accepted())
    await installation.write(old, *ended(old))
    await installation.write(running, running.created(2))
    await installation.rebuild()
    await installation.processed()
    said = await installation.keep()
    assert await installation.starts() == (0, 0, 0)
    assert f"{installation.topics.jobs} still holds job {old.about['job_id']}" in str(said)


async def test_results_that_are_left_of_a_forgotten_job_are_never_shown(installation):
    """Their JobAccepted is gone, they stand behind a result that is kept: a rebuild leaves them out."""
    running, old = new_job(), new_job()
    await installation.write(old, old.accepted())
    await installation.write(running, running.created(2))
    await installation.write(old, old.created(2), old.failed(3), old.finished(JobOutcome.SOME_FAILED))
    await installation.write(running, running.accepted())
    await installation.rebuild()
    before = await contents(installation.engine)
    await installation.processed()
    await installation.keep()
    assert await installation.starts() == (2, 0, 2)
    said = await installation.rebuild()
    assert await contents(installation.engine) == before
    assert "Jobs left out, since they finished more than 30 days ago: 1." in said


async def test_what_a_group_or_status_has_not_read_stays(installation):
    """However old it is: the processors, a downstream group, status itself."""
    old, later = new_job(), new_job()
    await installation.write(old, *ended(old))
    await installation.rebuild()
    await installation.processed(all_but=1)
    await installation.write(later, *ended(later))
    reader = AIOKafkaConsumer(
        **kafka_options.consumer_options(installation.settings), group_id=installation.topics.group("downstream")
    )
    async with reader:
        at = TopicPartition(installation.topics.results, 0)
        reader.assign([at])
        await reader.commit({at: 1})
    await installation.keep()
    assert await installation.starts() == (1, 1, 2)
    assert (await offsets_of(installation.engine))[TopicPartition(installation.topics.jobs, 0)] == 2


async def test_a_job_that_ended_is_kept_until_status_has_deleted_it(installation):
    """The tables say what is retained, not the clock of the housekeeping."""
    job = new_job()
    await installation.write(job, *ended(job), age=60)
    await installation.rebuild()
    await installation.processed()
    hasty = installation.settings.model_copy(update={"job_retention_days": 0.000001})
    said = []
    await run_housekeeping(hasty, said.append, dry_run=False)
    assert await installation.starts() == (0, 0, 0)
