"""A job's life under commands: cancelled in the middle, retried by two at once while the service is killed."""

import asyncio
from collections import Counter

from shared.contract.events import JobOutcome, JobRetryRequested, RowAccepted, RowCreated, RowOutcome
from shared.contract.outcomes_digest import OutcomesDigest
from tests.chaos.conftest import Kept
from tests.chaos.size import only_in_full, sized
from tests.chaos.status.conftest import StatusReplicas
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

ROWS = sized(400, 5_000)
BROKEN = ROWS // 10
KILLS = sized(2, 10)


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
    await system.run_command("pause")
    await status.shows(job, 20, waiting_for="paused", eta_seconds=None)
    await system.run_command("resume")
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
