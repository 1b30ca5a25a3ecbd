"""The audit at the end of a test: what the directory created, compared with what the results say."""

from collections import Counter
from dataclasses import dataclass

from shared.contract.events import BatchActivated, JobCancelRequested, JobFinished, JobOutcome, RowOutcome
from tests.support.history import Creation, History, violations
from tests.support.processor.jobs import Job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until


@dataclass(frozen=True)
class Audit:
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

    def summary(self) -> str:
        """For the line of a promise that was kept."""
        return f"{self.kinds}, {self.stats['creates']} creates, {self.stats['doubles_total']} twice"


async def finish_and_audit(system: ProcessorSystem, *jobs: Job, seconds: float) -> Audit:
    """Waits for a result per row, stops the processors, and asserts what always has to hold.

    Every row has exactly one result, the directory holds exactly what the results call created, nothing twice, and
    no processor met an error that nobody had thought of.
    """
    await system.wait_for_results(sum(len(job.rows) for job in jobs), seconds)
    await system.stop_processors()
    await until("no late creation is to come", lambda: _nothing_late(system), 30)
    broken = [f"{each.log}: {line}" for each in system.processors for line in unexpected(each.log.read_text())]
    audit = Audit(await system.results(), await system.admin("stats"), broken)
    _assert_exactly_once(audit, jobs, [_creation(entry) for entry in await system.log("creates")])
    return audit


def _creation(entry: dict) -> Creation:
    """A creation as the sandbox logs it: without the address, but with the key of the call."""
    return Creation(
        entry["hospital_id"],
        entry["creation_batch_id"],
        entry["name"],
        "",
        None,
        entry["wall"],
        key=entry["idempotency_key"] or "",
    )


def unexpected(log: str) -> list[str]:
    """The lines of a processor's log that tell of an error nobody had thought of.

    aiokafka leaves a future of its own behind whenever a producer is fenced: that one is known.
    """
    known = ("Future exception was never retrieved", "ProducerFenced")
    return [line for line in log.splitlines() if "Traceback" in line and not all(word in line for word in known)]


async def _nothing_late(system: ProcessorSystem) -> bool:
    return not (await system.admin("stats"))["late_pending"]


def _assert_exactly_once(audit: Audit, jobs: tuple[Job, ...], creations: list[Creation]) -> None:
    accepted = [row for job in jobs for row in job.rows]
    broken = violations(History(accepted, audit.results, creations))
    assert not broken, f"{len(broken)} promises broken:\n" + "\n".join(map(str, broken[:5]))
    assert audit.stats["doubles_total"] == 0, audit.stats["doubles"][:5]
    assert audit.stats["creates"] == audit.kinds.get("RowCreated", 0), audit.summary()
    assert not audit.broken, f"unexpected errors in {audit.broken}"


def all_created(job: Job) -> JobFinished:
    """Tells, as the status service does, that all rows of the job were created: its batches are to be activated."""
    return JobFinished(
        tenant="public",
        job_id=job.job_id,
        outcome=JobOutcome.ALL_CREATED,
        total_hospitals=len(job.rows),
        created_hospitals=len(job.rows),
        failed_hospitals=0,
        unprocessed_hospitals=0,
        batch_ids=tuple(job.batch_ids),
    )


async def activate(system: ProcessorSystem, job: Job, seconds: float = 20) -> None:
    """Tells that all rows of the job were created, and waits until its batches are active."""
    await system.write([(system.topics.jobs, all_created(job))])
    await until(f"{len(job.batch_ids)} batches are active", lambda: activated(system, job), seconds)


async def activated(system: ProcessorSystem, job: Job) -> bool:
    """Whether all batches of a job were activated."""
    events = await system.events(system.topics.jobs)
    return set(job.batch_ids) <= {event.batch_id for event in events if isinstance(event, BatchActivated)}


async def cancel(system: ProcessorSystem, job: Job) -> None:
    """Asks for the job's cancellation, as the status service does."""
    await system.write([(system.topics.jobs, JobCancelRequested(tenant="public", job_id=job.job_id))])
