"""A directory whose look-ups prove nothing, or fail: a row that a person found absent runs again without one."""

from shared.contract.events import RowCreated, RowErrorCode, RowFailed
from tests.chaos.conftest import Kept
from tests.chaos.status.conftest import StatusReplicas
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.status.status_service import API

ROWS = 40
LOST = 4


async def test_a_row_resolved_as_absent_is_created_by_the_retry(
    status: StatusReplicas, system: ProcessorSystem, kept: Kept
):
    """It was looked up again once: it waited for that look-up, or became unknown again, for ever."""
    await system.inject(lookup_hides_newest=1_000, name_rules=[{"contains": "Lost", "status": 504}])
    job = make_job(ROWS, names=[f"St. {'Lost' if index < LOST else 'Mary'} {index}" for index in range(ROWS)])
    await system.start_processors(1)
    await system.publish(job)
    first = await status.shows(job, 60, status="completed")
    assert (first["created_hospitals"], first["failed_hospitals"]) == (ROWS - LOST, LOST)
    unknown = [result for result in await system.results() if isinstance(result, RowFailed)]
    assert {result.code for result in unknown} == {RowErrorCode.OUTCOME_UNKNOWN}

    for result in unknown:
        path = f"{API}/jobs/{job.job_id}/rows/{result.row}/resolve"
        answer = await status.replicas[0].http.post(path, json={"absent": True})
        assert answer.status_code == 202, answer.text
    await system.inject(name_rules=[], lookup_errors=1)
    assert (await status.command(1, job, "retry")).status_code == 202
    done = await status.shows(job, 60, status="completed", created_hospitals=ROWS)
    assert (done["outcome"], done["activated"]) == ("all_created", True)
    retried = [result for result in await system.results() if result.round == 2]
    assert [isinstance(result, RowCreated) and result.found for result in retried] == [False] * LOST
    stats = await system.admin("stats")
    assert (stats["creates"], stats["doubles_total"]) == (ROWS, 0)
    kept(f"{LOST} rows resolved as absent at a directory whose look-ups fail: all created by the retry")
