"""Why a job waits, from a real processor's reports to the answer of the status service, over a real broker."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.status.status_service import StatusService

RECOVERY_SECONDS = 120
TIMES = {
    "HOSPITAL_API_TIMEOUT": "5",
    # The look-ups of the first job come after the test.
    "HOSPITAL_API_SETTLE_SECONDS": "60",
    "LEASE_SECONDS": "5",
    "RATE_LIMIT_REQUESTS": "10",
    "CIRCUIT_BREAKER_RECOVERY_TIMEOUT": str(RECOVERY_SECONDS),
}


@pytest.fixture
async def system(kafka_bootstrap, topic_prefix, tmp_path):
    """Two lanes, two connections, ten calls a second."""
    environment = {"KAFKA_TOPIC_PARTITIONS": "2", "HOSPITAL_API_MAX_CONNECTIONS": "2", **TIMES}
    async with ProcessorSystem(kafka_bootstrap, topic_prefix, tmp_path, **environment) as system:
        yield system


@pytest.fixture
async def status(system, free_port, tmp_path):
    async with StatusService(
        system.settings, f"sqlite:///{tmp_path}/status.db", free_port, tmp_path / "status.log"
    ) as status:
        yield status


async def test_why_a_job_waits_is_what_holds_it_up(system: ProcessorSystem, status: StatusService):
    """Rows in doubt, a slow directory, a takeover, an outage: each is told while it lasts."""
    [processor] = await system.start_processors(1)
    doubtful = make_job(3)
    await system.inject(lose_answer=1)
    await system.publish(doubtful)
    found = await status.shows(doubtful.job_id, waiting_for="look_ups")
    assert 50 < found["eta_seconds"] < 68, "65 s after they were sent the rows may be looked up"

    await system.inject(lose_answer=0, latency_ms=3_000)
    job = make_job(500)
    await system.publish(job)
    await status.shows(job.job_id, waiting_for="directory_slow")

    await system.inject(latency_ms=0)
    processor.kill()
    await system.start_processor()
    await status.shows(job.job_id, waiting_for="takeover", eta_seconds=None)
    await system.inject(outage="unavailable", retry_after_seconds=0)
    found = await status.shows(job.job_id, waiting_for="circuit_breaker", eta_seconds=None)
    next_try = datetime.fromisoformat(found["next_try_at"]) - datetime.now(UTC)
    assert timedelta() < next_try <= timedelta(seconds=RECOVERY_SECONDS)
    # What the doubtful job waits for is the directory too.
    await status.shows(doubtful.job_id, waiting_for="circuit_breaker")
