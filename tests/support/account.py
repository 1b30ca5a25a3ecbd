"""The account at the end: what the directory created beside what the results say."""

from collections import Counter
from dataclasses import dataclass

from shared.contract.events import BatchActivated, JobCancelRequested, JobFinished, JobOutcome, RowCreated, RowOutcome
from tests.support.processor.jobs import Job
from tests.support.processor.processor_system import Rig
from tests.support.until import until


@dataclass(frozen=True)
class Account:
    """Final: every processor has stopped, nothing is late any more."""

    results: list[RowOutcome]
    stats: dict
    broken: list[str]

    @property
    def kinds(self) -> dict[str, int]:
        """How many results there are of each kind."""
        return dict(Counter(type(result).__name__ for result in self.results))

    @property
    def look_ups(self) -> int:
        """How many batches were looked up."""
        return sum(entry["count"] for entry in self.stats["requests"] if entry["method"] == "GET")

    def says(self) -> str:
        """For the line of a promise."""
        return f"{self.kinds}, {self.stats['creates']} creates, {self.stats['doubles_total']} twice"


async def settle(rig: Rig, *jobs: Job, seconds: float) -> Account:
    """Waits for a result per row, stops the processors, and asserts what always has to hold.

    Every row has exactly one result, the directory holds exactly what the results call created, nothing twice, and
    no processor met an error that nobody had thought of.
    """
    await rig.wait_for_results(sum(len(job.rows) for job in jobs), seconds)
    await rig.stop_processors()
    await until("no late creation is to come", lambda: _nothing_late(rig), 30)
    broken = [f"{each.log}: {line}" for each in rig.processors for line in unexpected(each.log.read_text())]
    account = Account(await rig.results(), await rig.admin("stats"), broken)
    _assert_exactly_once(account, jobs)
    return account


def unexpected(log: str) -> list[str]:
    """The lines of a processor's log that tell of an error nobody had thought of.

    aiokafka leaves a future of its own behind whenever a producer is fenced: that one is known.
    """
    known = ("Future exception was never retrieved", "ProducerFenced")
    return [line for line in log.splitlines() if "Traceback" in line and not all(word in line for word in known)]


async def _nothing_late(rig: Rig) -> bool:
    return not (await rig.admin("stats"))["late_pending"]


def _assert_exactly_once(account: Account, jobs: tuple[Job, ...]) -> None:
    counted = Counter((result.job_id, result.row, result.round) for result in account.results)
    expected = Counter((row.job_id, row.row, row.round) for job in jobs for row in job.rows)
    created = {result.hospital_id for result in account.results if isinstance(result, RowCreated)}
    odd = (counted - expected) + (expected - counted)
    assert not odd, f"{odd.total()} results too many or too few (job, row, round): {list(odd)[:5]}"
    assert account.stats["doubles_total"] == 0, account.stats["doubles"][:5]
    assert account.stats["creates"] == len(created) == account.kinds.get("RowCreated", 0), account.says()
    assert not account.broken, f"unexpected errors in {account.broken}"


async def activate(rig: Rig, job: Job, seconds: float = 20) -> None:
    """Tells that all rows of the job were created, and waits until its batches are active."""
    finished = JobFinished(
        tenant="public",
        job_id=job.job_id,
        outcome=JobOutcome.ALL_CREATED,
        total_hospitals=len(job.rows),
        created_hospitals=len(job.rows),
        failed_hospitals=0,
        unprocessed_hospitals=0,
        batch_ids=tuple(job.batch_ids),
    )
    await rig.write([(rig.topics.jobs, finished)])
    await until(f"{len(job.batch_ids)} batches are active", lambda: _activated(rig, job), seconds)


async def _activated(rig: Rig, job: Job) -> bool:
    events = await rig.events(rig.topics.jobs)
    return {event.batch_id for event in events if isinstance(event, BatchActivated)} == set(job.batch_ids)


async def cancel(rig: Rig, job: Job) -> None:
    """Asks for the job's cancellation, as the status service does."""
    await rig.write([(rig.topics.jobs, JobCancelRequested(tenant="public", job_id=job.job_id))])
