"""A directory that stores other names than it was sent: retries need not ask it about rows that cannot be there."""

from collections import Counter

from shared.contract.events import RowCreated
from tests.chaos.conftest import Kept
from tests.chaos.size import sized
from tests.chaos.status.conftest import StatusReplicas
from tests.support.audit import unexpected
from tests.support.processor.jobs import Job, make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

ROWS = sized(300, 5_000)
#: Every so many rows one is refused at first.
REFUSED = 10


async def test_refused_and_unsent_rows_are_created_by_a_retry_and_none_is_unknown(
    status: StatusReplicas, system: ProcessorSystem, kept: Kept
):
    """Look-ups of such batches prove nothing, and the rows that were rewritten are in the same batches."""
    await system.inject(latency_ms=40, rewrite="street", name_rules=[{"contains": "Refused", "status": 422}])
    kinds = ["Refused" if index % REFUSED == 0 else "Hospital" for index in range(ROWS)]
    job = make_job(ROWS, names=[f"St. {kind} {index}" for index, kind in enumerate(kinds)])
    await system.start_processors(2)
    await system.publish(job, express=False)
    await until("the job has begun", lambda: has_created(system, ROWS // 5), 60)
    await until("it is cancelled", lambda: is_taken(status, job, "cancel"), 60)
    await until("the last row has its result", lambda: has_finished(status), 60)
    first = await status.shows(job, 30, status="cancelled")
    refused, unsent = first["failed_hospitals"], first["unprocessed_hospitals"]
    assert refused > 0 < unsent, "no row was refused, or the job was over before it was cancelled"

    await system.inject(latency_ms=5, name_rules=[])
    await until("it is retried", lambda: is_taken(status, job, "retry"), 60)
    done = await status.shows(job, sized(60, 300), status="completed")
    assert (done["outcome"], done["created_hospitals"], done["activated"]) == ("all_created", ROWS, True)
    assert all(each.alive for each in system.processors)
    await system.stop_processors()
    results = await system.results()
    assert set(Counter((result.row, result.round) for result in results).values()) == {1}
    assert sum(isinstance(result, RowCreated) for result in results) == ROWS
    assert all(isinstance(result, RowCreated) for result in results if result.round == 2)
    stats = await system.admin("stats")
    assert (stats["creates"], stats["doubles_total"]) == (ROWS, 0)
    assert not [line for each in system.processors for line in unexpected(each.log.read_text())]
    kept(f"a directory that rewrites, retry of {refused} refused and {unsent} unsent rows: all created, none unknown")


async def is_taken(status: StatusReplicas, job: Job, what: str) -> bool:
    """Asks for it. A busy machine may be told 503; 409: it was taken although nobody could say so."""
    return (await status.command(0, job, what)).status_code in (202, 409)


async def has_created(system: ProcessorSystem, count: int) -> bool:
    """Whether the directory holds so many hospitals."""
    return (await system.admin("stats"))["creates"] >= count


async def has_finished(status: StatusReplicas) -> bool:
    """Whether the first round is over."""
    return bool(await status.finishes())
