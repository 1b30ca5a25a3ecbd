"""A job's life under commands: cancelled in the middle, retried by two at once while the service is killed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import free_port
from shared.contract.events import JobFinished, JobOutcome, JobRetryRequested, RowAccepted, RowCreated, RowOutcome
from shared.contract.outcomes_digest import OutcomesDigest
from tests.chaos.conftest import Kept
from tests.chaos.size import only_in_full, sized
from tests.chaos.test_commands import run_command
from tests.support.processor.jobs import Job, make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.status.status_service import API, StatusService
from tests.support.until import until

ROWS = sized(400, 5_000)
BROKEN = ROWS // 10
KILLS = sized(2, 10)


class StatusReplicas:
    """Two replicas of the status service over one database, beside the system's processors."""

    def __init__(self, system: ProcessorSystem, replicas: list[StatusService]) -> None:
        self.system = system
        self.replicas = replicas

    async def command(self, replica: int, job: Job, what: str) -> httpx.Response:
        """Asks one of them to cancel or retry."""
        return await self.replicas[replica].http.post(f"{API}/jobs/{job.job_id}/{what}")

    async def status(self, job: Job) -> dict:
        """The job, by whichever replica answers."""
        for replica in self.replicas:
            try:
                if found := await replica.status(job.job_id):
                    return found
            except httpx.TransportError:
                continue
        return {}

    async def shows(self, job: Job, seconds: float, **expected: object) -> dict:
        """Waits until the status has these fields."""
        found: dict = {}

        async def does() -> bool:
            found.update(await self.status(job))
            return expected.items() <= found.items()

        try:
            await until(f"the job has {expected}", does, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; but {found | {'result': None}}") from None
        return found

    async def finishes(self) -> list[JobFinished]:
        """The JobFinished events, one for each round."""
        found = [event for event in await self.system.events(self.system.topics.jobs) if isinstance(event, JobFinished)]
        return list({event.event_id: event for event in found}.values())


@pytest.fixture
async def status(system: ProcessorSystem, postgres_url: str, tmp_path: Path) -> AsyncIterator[StatusReplicas]:
    """Small windows, so that a cancel finds rows behind them."""
    system.environment |= {"WINDOW_ROWS": "40", "HOSPITAL_API_MAX_CONNECTIONS": "4"}
    times = {
        name: system.environment[name] for name in system.environment if name.startswith(("LEASE", "HOSPITAL_API_"))
    }
    async with AsyncExitStack() as stack:
        replicas = [
            StatusService(system.settings, postgres_url, free_port(), tmp_path / f"status-{number}.log", **times)
            for number in (1, 2)
        ]
        assert await replicas[0].run("migrate") == 0
        for replica in replicas:
            await stack.enter_async_context(replica)
        for replica in replicas:
            await replica.ready()
        yield StatusReplicas(system, replicas)


async def test_cancel_in_mid_job_then_two_retries_at_once_while_status_is_killed(
    status: StatusReplicas, system: ProcessorSystem, kept: Kept
):
    """Created + failed + unprocessed = total, the directory holds exactly the created; the retry is one round and

    finishes the rest; nothing is created twice, and no row has two results in a round.
    """
    await system.inject(latency_ms=40, name_rules=[{"contains": "Broken", "status": 422}])
    job = make_job(ROWS, names=[f"Broken {index}" if index % 10 == 0 else f"Sound {index}" for index in range(ROWS)])
    await system.start_processors(2)
    await system.publish(job, express=False)
    await until("the job has begun", lambda: has_created(system, ROWS // 8), 60)

    assert (await status.command(0, job, "cancel")).status_code == 202
    cancelled = await status.shows(job, 60, status="cancelled")
    await until("its last row has its result", lambda: has_finished(status, 1), 60)
    cancelled = await status.shows(job, 30, status="cancelled")
    created, failed, unprocessed = (cancelled[f"{kind}_hospitals"] for kind in ("created", "failed", "unprocessed"))
    assert created + failed + unprocessed == ROWS
    assert failed > 0 < unprocessed, "cancelled when it was over"
    assert (await system.admin("stats"))["creates"] == created, "the directory holds others than the created"
    [first] = await status.finishes()
    assert first.outcome is JobOutcome.CANCELLED
    assert (first.created_hospitals, first.failed_hospitals, first.unprocessed_hospitals) == (
        created,
        failed,
        unprocessed,
    )

    await system.inject(latency_ms=5, name_rules=[])
    answers = await asyncio.gather(status.command(0, job, "retry"), status.command(1, job, "retry"))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert 202 in [answer.status_code for answer in answers]
    for number in range(KILLS):
        victim = status.replicas[number % 2]
        await victim.kill()
        await victim.start()
        await asyncio.sleep(sized(1.5, 3))
    done = await status.shows(job, sized(120, 300), status="completed")
    assert (done["outcome"], done["created_hospitals"], done["activated"]) == ("all_created", ROWS, True)

    await check_manifests(system, status)
    await system.stop_processors()
    stats = await system.admin("stats")
    assert (stats["creates"], stats["doubles_total"]) == (ROWS, 0)
    assert [event.round for event in await status.finishes()] == [1, 2]
    asked = [event for event in await system.events(system.topics.jobs) if isinstance(event, JobRetryRequested)]
    assert {event.round for event in asked} == {2}
    assert_each_once(await rows_of(system, 2), failed + unprocessed)
    results = await system.results()
    assert max(Counter((result.row, result.round) for result in results).values()) == 1
    assert sum(isinstance(result, RowCreated) for result in results) == ROWS
    kept(
        f"cancel in mid-job of {ROWS}: {created} created + {failed} failed + {unprocessed} unprocessed; "
        f"{len(asked)} retries at once, {KILLS} kills of status: 1 round of {failed + unprocessed} rows, "
        f"{stats['creates']} creates, 0 twice"
    )


@only_in_full
async def test_why_a_job_waits_is_what_really_holds_it_up(status: StatusReplicas, system: ProcessorSystem, kept: Kept):
    """The rate limit, a pause, an outage, no processor: shown within seconds, with an ETA only where rows move."""
    system.environment["RATE_LIMIT_REQUESTS"] = "4"
    job = make_job(2_000)
    await system.publish(job, express=False)
    await status.shows(job, 40, waiting_for="no_processor", eta_seconds=None)
    [processor] = await system.start_processors(1)
    found = await status.shows(job, 40, waiting_for="rate_limit")
    rows_left = found["total_hospitals"] - found["processed_hospitals"]
    assert 0.5 * rows_left / 4 < found["eta_seconds"] < 4 * rows_left / 4
    await run_command(system, "pause")
    await status.shows(job, 20, waiting_for="paused", eta_seconds=None)
    await run_command(system, "resume")
    await system.inject(outage="unavailable")
    await status.shows(job, 40, waiting_for="circuit_breaker", eta_seconds=None)
    processor.kill()
    await status.shows(job, 40, waiting_for="no_processor", eta_seconds=None)
    kept(f"why a job waits: no_processor, rate_limit ({found['eta_seconds']} s left), paused, circuit_breaker, told")


async def has_created(system: ProcessorSystem, count: int) -> bool:
    return (await system.admin("stats"))["creates"] >= count


async def has_finished(status: StatusReplicas, rounds: int) -> bool:
    return len(await status.finishes()) == rounds


async def check_manifests(system: ProcessorSystem, status: StatusReplicas) -> None:
    """As a reader of the topics does: it has every result of a round when their hash is that of JobFinished."""
    results = await system.results()
    for finish in await status.finishes():
        latest: dict[int, RowOutcome] = {}
        for result in results:
            known = latest.get(result.row)
            if result.round <= finish.round and (known is None or known.round < result.round):
                latest[result.row] = result
        digest = OutcomesDigest()
        for row, result in sorted(latest.items()):
            outcome = type(result).__name__.removeprefix("Row").lower()
            digest.add(row, outcome, result.hospital_id if isinstance(result, RowCreated) else None)
        assert digest.hexdigest() == finish.outcomes_sha256


async def rows_of(system: ProcessorSystem, round_: int) -> list[RowAccepted]:
    """What the rows topics hold of a round."""
    events = [*await system.events(system.topics.rows_express), *await system.events(system.topics.rows_bulk)]
    return [event for event in events if isinstance(event, RowAccepted) and event.round == round_]


def assert_each_once(rows: list[RowAccepted], count: int) -> None:
    times = Counter(row.row for row in rows)
    assert len(times) == count
    assert set(times.values()) == {1}
