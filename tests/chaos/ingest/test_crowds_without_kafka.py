"""Many uploads in the same moment, while Kafka is away and when it is back."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.chaos.ingest.test_uploads_die import accepted
from tests.chaos.size import sized
from tests.support.ingest.ingest_process import IngestProcess
from tests.support.ingest.ingest_server import settings
from tests.support.ingest.published_jobs import jobs
from tests.support.ingest.raw_upload import RawAnswer, raw_upload
from tests.support.ingest.repeating_client import hospitals
from tests.support.swallowing_proxy import SwallowingProxy

CROWD = sized(40, 200)
#: 2 s are promised on a machine that does nothing else; beside the suite's other tests it can take twice as long.
MOST_SECONDS = sized(4, 2)


async def test_a_crowd_while_kafka_is_away_is_told_to_come_back_and_then_gets_one_job_for_each_key(
    tmp_path: Path, own_broker, kept
):
    """Nobody waits for long, and no key is burned: not those that were being published when Kafka went either."""
    broker, made = own_broker(), set()
    async with SwallowingProxy(int(broker.bootstrap.rpartition(":")[2])) as network:
        process = IngestProcess(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": network.bootstrap})
        await process.start()
        for outage, goes, comes in [
            ("frozen", broker.pause, broker.resume),
            ("unreachable", network.swallow, network.let_through),
            ("stopped", broker.stop, broker.start),
        ]:
            contents = {f"{outage}-{number}": hospitals(20, number) for number in range(CROWD)}
            leaving = crowd(process, contents)
            await one_is_accepted(leaving)
            goes()
            halfway, away = await asyncio.gather(*leaving), await asyncio.gather(*crowd(process, contents))
            comes()
            see(halfway, away)
            async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
                made |= {await accepted(client, content, key) for key, content in contents.items()}
            statuses = Counter(answer.status for answer in [*halfway, *away])
            slowest = max(answer.seconds for answer in [*halfway, *away])
            words = f"{dict(statuses)}, slowest {slowest:.1f} s"
            kept(f"crowd: 2 x {CROWD} uploads, Kafka {outage}: {words}; then one job for each key")
        process.terminate()

    published = await jobs(settings(tmp_path, kafka_bootstrap_servers=broker.bootstrap))
    assert len(made) == 3 * CROWD
    assert set(published) == made
    assert {job.total_hospitals for job, _ in published.values()} == {20}


def crowd(process: IngestProcess, contents: Mapping[str, bytes]) -> list[asyncio.Task[RawAnswer]]:
    """All of them at once."""
    return [asyncio.create_task(raw_upload(process.port, key, content)) for key, content in contents.items()]


async def one_is_accepted(leaving: list[asyncio.Task[RawAnswer]]) -> None:
    """The others are on their way then: some waiting, some being published."""
    for answer in asyncio.as_completed(leaving):
        if (await answer).status == 202:
            return
    raise AssertionError("none was accepted while Kafka was there")


def see(halfway: list[RawAnswer], away: list[RawAnswer]) -> None:
    """Everybody was answered in time, and only who had its job before has it while Kafka is away."""
    # A key whose commit was under way is in progress until Kafka can say what became of it.
    assert {answer.status for answer in [*halfway, *away]} <= {202, 409, 503}
    assert all(answer.headers["retry-after"] for answer in [*halfway, *away] if answer.status != 202)
    had = {answer.body for answer in halfway if answer.status == 202}
    assert {answer.body for answer in away if answer.status == 202} <= had
    assert max(answer.seconds for answer in [*halfway, *away]) < MOST_SECONDS
