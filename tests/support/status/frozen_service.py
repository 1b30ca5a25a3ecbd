"""Status at work in this process while its broker freezes: it answers all the same, and is stopped then."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx

from deploy.local.broker.kafka import Broker
from services.status.service import build
from services.status.settings import StatusSettings
from shared.contract.cloud_events import encode
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Producer
from shared.runtime.kafka.topic_admin import create_missing_topics
from tests.support.open_ends import held, is_left, no_complaints
from tests.support.status.job_histories import JobHistory
from tests.support.status.status_service import API
from tests.support.until import until

WORKING_SECONDS = 60.0


async def write_jobs(settings: StatusSettings, count: int) -> list[str]:
    """Jobs that can be cancelled."""
    jobs = [JobHistory(total=3, job_id=str(uuid4())) for _ in range(count)]
    async with Producer(**kafka_options.producer_options(settings)) as producer:
        for job in jobs:
            await producer.send_and_wait(settings.topics.jobs, **encode(job.accepted(), "test").fields())
    return [job.about["job_id"] for job in jobs]


async def settings_on(broker: Broker, directory: Path) -> StatusSettings:
    """Of a service on that broker, whose topics are there. Its tables are in the directory."""
    settings = StatusSettings(
        kafka_bootstrap_servers=broker.bootstrap,
        kafka_topic_partitions=1,
        status_database_url=f"sqlite:///{directory}/status.db",
        job_retention_days=36500,
    )
    await create_missing_topics(settings)
    return settings


async def assert_nothing_is_left(settings: StatusSettings, broker: Broker, freezes: int) -> None:
    """After so many freezes there are as many tasks and sockets as after one, and nobody complains."""
    job_ids = await write_jobs(settings, freezes + 1)
    with no_complaints():
        await _freeze(settings, broker, job_ids.pop())  # what is made once is there from now on
        before = held()
        for job_id in job_ids:
            await _freeze(settings, broker, job_id)
        await is_left(before)


async def _freeze(settings: StatusSettings, broker: Broker, job_id: str) -> None:
    """One freeze, in which the service answers, and then stops. Afterwards the broker is itself again."""
    try:
        async with _at_work(settings, job_id) as http:
            broker.pause()
            answers = await asyncio.gather(
                http.post(f"{API}/jobs/{job_id}/cancel"),
                http.get(f"{API}/status/{uuid4()}"),
                http.get("/health/ready"),
            )
            assert [answer.status_code for answer in answers] == [503, 503, 503]
    finally:
        broker.resume()


@asynccontextmanager
async def _at_work(settings: StatusSettings, job_id: str) -> AsyncIterator[httpx.AsyncClient]:
    app = build(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://status", timeout=WORKING_SECONDS) as http,
    ):

        async def works() -> bool:
            ready = await http.get("/health/ready")
            return "1 partitions" in ready.text and (await http.get(f"{API}/status/{job_id}")).status_code == 200

        await until("it shows the job, and has taken its retries over", works, WORKING_SECONDS)
        yield http
