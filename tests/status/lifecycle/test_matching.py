"""A correction whose file does not say which rows it holds: rows alike by name and address are taken off."""

import pytest
from aiokafka import TopicPartition
from sqlalchemy import select, update

from services.status.lifecycle.matching import Matching
from services.status.projection.positions import Positions
from services.status.tables.bulk_writes import write
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.definitions import corrections, jobs
from shared.contract.events import FieldColumns, JobOutcome
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.status_api import JOBS, api_client

OLD, NEW = JobHistory(total=3, job_id="old"), JobHistory(total=2, job_id="new")
OLD_EVENTS = [OLD.accepted(), OLD.created(2), OLD.failed(3), OLD.failed(4), OLD.finished(JobOutcome.SOME_FAILED)]
#: Row 2 is row 3 of the old job, written differently, with another phone; row 3 stands nowhere there.
ALIKE = NEW.created(2, seconds=12, cells=(" HOSPITAL  3", "1 Long  street", "7"))
OTHER = NEW.created(3, seconds=12, cells=("Hospital 3", "2 Long Street", "7"))
NEW_EVENTS = [NEW.corrects(OLD), ALIKE, OTHER, NEW.finished(JobOutcome.ALL_CREATED, seconds=13)]


@pytest.fixture
def matching(engine):
    """The owner of partition 0 of hospital.jobs, at its end."""
    positions = Positions()
    positions.assign([TopicPartition(JOBS, 0)])
    positions.place({TopicPartition(JOBS, 0): 8})
    positions.observe_end(TopicPartition(JOBS, 0), 8)
    return Matching(engine, JOBS, positions, ChangeSignal())


async def story(engine):
    async with engine.connect() as connection:
        statement = select(jobs.c.outcome, jobs.c.corrected_hospitals).where(jobs.c.job_id == "old")
        return tuple((await connection.execute(statement)).one())


async def test_rows_alike_by_name_and_address_are_taken_off_when_both_jobs_have_ended(matching, engine):
    """Until then it is only a link: nobody knows what stands in the file."""
    await apply_events(engine, *OLD_EVENTS, *NEW_EVENTS[:-1])
    await matching.match_due()
    assert await story(engine) == ("some_failed", 0)
    await apply_events(engine, NEW_EVENTS[-1])
    await matching.match_due()
    assert await story(engine) == ("some_failed", 1)
    await matching.match_due()
    assert await story(engine) == ("some_failed", 1)


async def test_when_every_open_row_is_found_the_chain_is_closed(matching, engine):
    """As if the file had said so."""
    last = NEW.created(3, seconds=12, cells=("hospital 4", "1 Long Street"))
    await apply_events(engine, *OLD_EVENTS, *NEW_EVENTS[:2], last, NEW_EVENTS[-1])
    await matching.match_due()
    assert await story(engine) == ("all_created_after_correction", 2)


async def test_each_file_has_its_own_columns(matching, engine):
    """What made the name and the address in each."""
    fields = FieldColumns(name=(2,), address=(0,))
    accepted = NEW_EVENTS[0].model_copy(update={"columns": ("Where", "Beds", "Who"), "fields": fields})
    row = NEW.created(2, seconds=12, cells=("1 Long Street", "7", "Hospital 3"))
    await apply_events(engine, *OLD_EVENTS, accepted, row, NEW.created(3, seconds=12), NEW_EVENTS[-1])
    await matching.match_due()
    assert await story(engine) == ("some_failed", 1)


@pytest.mark.parametrize("old", [[], [JobHistory(3, job_id="old", tenant="south").accepted(), *OLD_EVENTS[1:]]])
async def test_a_link_to_no_job_of_the_tenant_stays_one(matching, engine, old):
    """Nothing is compared with a file of somebody else."""
    await apply_events(engine, *old, *NEW_EVENTS)
    await matching.match_due()
    if old:
        assert await story(engine) == ("some_failed", 0)


async def test_what_is_no_correction_keeps_no_other_waiting(matching, engine):
    """A link may name anything, as often as somebody uploads."""
    nowhere = {"corrects": "nowhere", "tenant": "north", "named_rows": "", "unmatched": True}
    async with engine.begin() as connection:
        await write(connection, corrections, [{"job_id": f"a{number}"} | nowhere for number in range(33_000)])
    await apply_events(engine, *OLD_EVENTS, *NEW_EVENTS)
    await matching.match_due()
    assert await story(engine) == ("some_failed", 1)


async def retried(api):
    """The answer to a retry of the old job: its status, and what it says."""
    answer = await api.post("/jobs/old/retry")
    return answer.status_code, answer.json().get("error_type", answer.json().get("message"))


async def test_the_old_job_is_not_retried_while_nobody_knows_which_rows_a_correction_holds(matching, engine):
    """A row would be sent twice. Also when the correction has ended: its rows are compared a moment later."""
    await apply_events(engine, *OLD_EVENTS, *NEW_EVENTS[:-1])
    async with api_client(engine) as api:
        assert await retried(api) == (409, "correction_running")
        await apply_events(engine, NEW_EVENTS[-1], NEW.activated())
        assert await retried(api) == (409, "correction_running")
        await matching.match_due()
        assert await retried(api) == (202, "1 hospital runs again, as round 2.")


async def test_a_correction_that_nobody_sees_any_more_hinders_no_retry(engine):
    """It is being deleted: it will never be compared."""
    await apply_events(engine, *OLD_EVENTS, *NEW_EVENTS, NEW.activated())
    async with engine.begin() as connection:
        await connection.execute(update(jobs).where(jobs.c.job_id == "new").values(created_at=None))
    async with api_client(engine) as api:
        assert await retried(api) == (202, "2 hospitals run again, as round 2.")


async def test_nothing_is_compared_before_every_result_is_known(matching, engine):
    """In tables that are made again the job's end may come before its results."""
    await apply_events(engine, *OLD_EVENTS, NEW_EVENTS[0], NEW_EVENTS[2], NEW_EVENTS[3])
    await matching.match_due()
    await apply_events(engine, ALIKE)
    await matching.match_due()
    assert await story(engine) == ("some_failed", 1)
