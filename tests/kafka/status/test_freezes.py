"""Kafka freezes again and again: what status had under way is given up, and nothing of it stays open."""

import pytest

from services.status.settings import StatusSettings
from shared.runtime.kafka.topic_admin import create_missing_topics
from tests.support.open_ends import held, is_left, no_complaints
from tests.support.status.frozen_service import freeze, write_jobs

FREEZES = 2


@pytest.fixture
async def broker(own_broker):
    """A broker of this test's own."""
    return own_broker()


@pytest.fixture
async def settings(broker, tmp_path):
    """A service on it."""
    settings = StatusSettings(
        kafka_bootstrap_servers=broker.bootstrap,
        kafka_topic_partitions=1,
        status_database_url=f"sqlite:///{tmp_path}/status.db",
        job_retention_days=36500,
    )
    await create_missing_topics(settings)
    return settings


async def test_nothing_is_left_open_by_a_service_whose_broker_froze(settings, broker):
    """Neither tasks nor sockets, and nobody complains: a consumer that was cut off went on fetching for ever."""
    job_ids = await write_jobs(settings, FREEZES + 1)
    with no_complaints():
        await freeze(settings, broker, job_ids.pop())  # what is made once is there from now on
        before = held()
        for job_id in job_ids:
            await freeze(settings, broker, job_id)
        await is_left(before)
