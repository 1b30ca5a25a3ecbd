"""A correction takes rows off what is open in the job that it corrects; when nothing is open, all becomes active."""

from itertools import pairwise, permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from services.status.tables.definitions import corrections, jobs
from shared.contract.events import JobOutcome, RowErrorCode
from shared.contract.row_set import encode_rows
from tests.support.status.job_histories import JobHistory, apply_events, at, contents, emptied, in_topic_order
from tests.support.status.status_api import api_client

OLD = JobHistory(total=5, batches=2, job_id="old")
NEW = JobHistory(total=2, job_id="new")
#: Rows 2 to 4 were created, 5 and 6 were refused.
OLD_EVENTS = [
    OLD.accepted(),
    *(OLD.created(row) for row in (2, 3, 4)),
    *(OLD.failed(row) for row in (5, 6)),
    OLD.finished(JobOutcome.SOME_FAILED),
]
NEW_EVENTS = [NEW.corrects(OLD, [5, 6]), NEW.created(2, seconds=12), NEW.created(3, seconds=12)]
NEW_FINISHED = NEW.finished(JobOutcome.ALL_CREATED, seconds=13)


async def the(engine, job_id, *columns):
    """Those columns of the job."""
    async with engine.connect() as connection:
        statement = select(*(jobs.c[column] for column in columns)).where(jobs.c.job_id == job_id)
        return tuple((await connection.execute(statement)).one())


async def story(engine, job_id="old"):
    """Where the job stands in its chain."""
    return await the(engine, job_id, "outcome", "corrected_hospitals", "due_command")


async def test_rows_are_taken_off_as_soon_as_a_correction_names_them(engine):
    """It has sent nothing yet: the old job's rows wait there now."""
    await apply_events(engine, *OLD_EVENTS)
    assert await story(engine) == ("some_failed", 0, None)
    await apply_events(engine, NEW_EVENTS[0])
    assert await story(engine) == ("some_failed", 2, None)
    assert await the(engine, "old", "created_hospitals", "failed_hospitals") == (3, 2), "the job's own"


async def test_when_nothing_is_open_the_batches_of_the_old_job_are_to_be_activated(engine):
    """Those of the new one follow its JobFinished, as those of any job of which all was created."""
    await apply_events(engine, *OLD_EVENTS, *NEW_EVENTS)
    assert await story(engine) == ("some_failed", 2, None)
    await apply_events(engine, NEW_FINISHED)
    assert await story(engine) == ("all_created_after_correction", 2, "activate")
    assert await story(engine, "new") == ("all_created", 0, None)
    requested = [OLD.activation_requested(batch, seconds=14) for batch in (0, 1)]
    await apply_events(engine, requested[0], requested[0])
    assert (await story(engine))[2] == "activate", "one of its two batches was asked for"
    await apply_events(engine, requested[1])
    assert await story(engine) == ("all_created_after_correction", 2, None)
    assert await the(engine, "old", "activated") == (False,)
    await apply_events(engine, OLD.activated(0, "corrected:1"), OLD.activated(1, "corrected:1"))
    assert await the(engine, "old", "activated", "batches_refused") == (True, 0)


async def test_the_order_in_which_two_jobs_are_read_does_not_matter(engine):
    """They may lie in different partitions, which different replicas read."""
    events = [OLD_EVENTS, NEW_EVENTS, [NEW_FINISHED]]
    await apply_events(engine, *OLD_EVENTS, *NEW_EVENTS, NEW_FINISHED)
    expected = await contents(engine)
    for order in permutations(events):
        await emptied(engine)
        for some in order:
            await apply_events(engine, *some)
        assert await contents(engine) == expected


async def test_a_batch_without_a_hospital_is_not_activated(engine):
    """The directory need not know it."""
    job = JobHistory(total=2, batches=2, job_id="old")
    ended = job.accepted(), job.created(2), job.failed(3), job.finished(JobOutcome.SOME_FAILED)
    new = JobHistory(total=1, job_id="new")
    await apply_events(engine, *ended, new.corrects(job, [3]), new.created(2), new.finished(JobOutcome.ALL_CREATED))
    assert await the(engine, "old", "due_command", "filled_batches") == ("activate", 1)
    await apply_events(engine, job.activation_requested(0), job.activated(0, "corrected:1"))
    assert await the(engine, "old", "due_command", "activated") == (None, True)


async def test_a_job_of_which_all_was_corrected_has_nothing_to_activate(engine):
    """None of its hospitals was created in it."""
    job, new = JobHistory(total=1, job_id="old"), JobHistory(total=1, job_id="new")
    await apply_events(engine, job.accepted(), job.failed(2), job.finished(JobOutcome.NONE_CREATED))
    await apply_events(engine, new.corrects(job, [2]), new.created(2), new.finished(JobOutcome.ALL_CREATED))
    assert await story(engine) == ("all_created_after_correction", 1, None)


async def test_a_row_that_fails_in_its_correction_is_open_there(engine):
    """And is corrected in turn: only when the last of the chain is created, all of them are activated."""
    third = JobHistory(total=1, job_id="third")
    new = [NEW_EVENTS[0], NEW.created(2, seconds=12), NEW.failed(3, seconds=12)]
    await apply_events(engine, *OLD_EVENTS, *new, NEW.finished(JobOutcome.SOME_FAILED, seconds=13))
    assert await story(engine) == ("some_failed", 2, None)
    assert await story(engine, "new") == ("some_failed", 0, None)
    await apply_events(engine, third.corrects(NEW, [3], 20))
    assert await story(engine, "new") == ("some_failed", 1, None)
    await apply_events(engine, third.created(2, seconds=22), third.finished(JobOutcome.ALL_CREATED, seconds=23))
    for job_id, corrected in (("old", 2), ("new", 1)):
        assert await story(engine, job_id) == ("all_created_after_correction", corrected, "activate")


async def test_a_part_of_a_chain_is_not_activated_before_the_whole(engine):
    """Row 6 of the first job is still open, although all that was corrected is created."""
    third, fourth = JobHistory(total=1, job_id="third"), JobHistory(total=1, job_id="fourth")
    new = JobHistory(total=2, job_id="new")
    await apply_events(engine, *OLD_EVENTS[:-1], OLD_EVENTS[-1], new.corrects(OLD, [5]), new.created(2), new.failed(3))
    await apply_events(engine, new.finished(JobOutcome.SOME_FAILED), third.corrects(new, [3]), third.created(2))
    await apply_events(engine, third.finished(JobOutcome.ALL_CREATED))
    assert await story(engine, "new") == ("all_created_after_correction", 1, None)
    await apply_events(engine, fourth.corrects(OLD, [6]), fourth.created(2), fourth.finished(JobOutcome.ALL_CREATED))
    assert (await story(engine, "new"))[2] == (await story(engine, "old"))[2] == "activate"


@pytest.mark.parametrize("corrects", ["nobody", "foreign", "new", "old"])
async def test_a_link_to_no_job_of_the_tenant_is_none(engine, corrects):
    """Nor is one to itself, or one whose rows cannot be read. Nobody hears whether there is such a job."""
    foreign = JobHistory(total=1, job_id="foreign", tenant="south")
    rows = "?" if corrects == "old" else encode_rows([2, 5, 6])
    link = NEW.accepted(10, corrects=corrects, corrected_rows=rows)
    await apply_events(engine, *OLD_EVENTS, foreign.accepted(), foreign.failed(2), link)
    await apply_events(engine, foreign.finished(JobOutcome.NONE_CREATED), NEW.created(2), NEW.created(3), NEW_FINISHED)
    assert await story(engine, "foreign") == ("none_created", 0, None)
    assert await story(engine) == ("some_failed", 0, None)
    async with api_client(engine) as api:
        answer = (await api.get("/status/new")).json()
        assert answer["corrects"] == ("old" if corrects == "old" else None)
        assert (await api.get("/status/foreign")).json()["corrected_by"] == []


async def test_status_and_list_tell_of_the_link_from_both_ends(engine):
    """With every job that corrects it, oldest first, and which rows stand again."""
    await apply_events(
        engine, *OLD_EVENTS, JobHistory(1, job_id="zz").corrects(OLD, [6], 10), NEW.corrects(OLD, [6], 11)
    )
    async with api_client(engine) as api:
        answer = (await api.get("/status/old")).json()
        assert (answer["corrects"], answer["corrected_by"], answer["corrected_hospitals"]) == (None, ["zz", "new"], 1)
        assert answer["message"].startswith("3 of 5 hospitals created, 2 failed, 1 of them corrected in another upload")
        assert (await api.get("/status/new")).json()["corrects"] == "old"
        listed = {job["job_id"]: job for job in (await api.get("/jobs")).json()["jobs"]}
        assert listed["old"]["corrected_by"] == ["zz", "new"]
        assert listed["zz"]["corrects"] == "old"
        rows = (await api.get("/jobs/old/rows?outcome=failed")).json()["rows"]
        assert [(row["row"], row["corrected"]) for row in rows] == [(5, False), (6, True)]


async def test_a_row_that_became_a_hospital_after_all_is_not_corrected(engine):
    """It was resolved, or ran again before the correction came: it is created, and nothing is taken off for it."""
    unknown = OLD.failed(6, code=RowErrorCode.OUTCOME_UNKNOWN)
    await apply_events(engine, *OLD_EVENTS[:-2], unknown, OLD_EVENTS[-1], NEW_EVENTS[0])
    assert (await story(engine))[1] == 2
    await apply_events(engine, OLD.resolved(6, 77, seconds=12))
    assert (await story(engine))[1] == 1
    await apply_events(engine, OLD.retried(2, seconds=13), OLD.failed(5, round_=2, seconds=14))
    assert (await story(engine))[1] == 1, "in the round that counts"


FACTS = [
    *OLD_EVENTS,
    NEW_EVENTS[0],
    NEW.created(2, seconds=12),
    NEW.failed(3, seconds=12),
    NEW.finished(JobOutcome.SOME_FAILED, seconds=13),
    OLD.retried(2, seconds=14),
    OLD.failed(5, round_=2, seconds=15, carried_over=True),
    OLD.failed(6, round_=2, seconds=15, carried_over=True),
    OLD.finished(JobOutcome.SOME_FAILED, round_=2, seconds=16),
    NEW.retried(2, seconds=17),
    NEW.created(3, round_=2, seconds=18),
    NEW.finished(JobOutcome.ALL_CREATED, round_=2, seconds=19),
    OLD.activation_requested(0, "corrected:2", seconds=20),
    OLD.activation_requested(1, "corrected:2", seconds=20),
    OLD.activated(0, "corrected:2", seconds=21),
]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_any_order_of_arrival_ends_in_the_same_tables(sqlite, data):
    """One event at a time, or some together; a job's own events in the order of their partition."""
    await emptied(sqlite)
    await apply_events(sqlite, *FACTS)
    expected = await contents(sqlite)
    await emptied(sqlite)
    events = in_topic_order(data.draw(st.permutations(FACTS)))
    while events:
        size = data.draw(st.integers(1, 4))
        await apply_events(sqlite, *events[:size])
        events = events[size:]
    assert await contents(sqlite) == expected
    assert await story(sqlite) == ("all_created_after_correction", 2, None)


async def test_a_correction_that_comes_again_is_the_same_one(engine):
    """After a crash its JobAccepted may be read twice."""
    await apply_events(engine, *OLD_EVENTS, *NEW_EVENTS, NEW_FINISHED)
    before = await contents(engine)
    await apply_events(engine, NEW_EVENTS[0])
    assert await contents(engine) == before
    async with engine.connect() as connection:
        assert len(list(await connection.execute(select(corrections)))) == 1


def test_the_moments_of_this_story_are_in_order():
    """Else the orders above would not be those of a topic."""
    assert [event.occurred_at for event in FACTS if event.occurred_at >= at(10)] == sorted(
        event.occurred_at for event in FACTS if event.occurred_at >= at(10)
    )


async def test_a_long_chain_of_corrections_takes_a_few_statements_however_long_it_is(engine):
    """It took one for each link, in the transaction that everybody waits for."""
    chain = [JobHistory(total=1, job_id=f"job-{number:03}") for number in range(60)]
    links = [new.corrects(old, [2]) for old, new in pairwise(chain)]
    ends = [job.finished(JobOutcome.NONE_CREATED) for job in chain[:-1]]
    await apply_events(engine, chain[0].accepted(), *links, *(job.failed(2) for job in chain[:-1]), *ends)
    assert await story(engine, "job-000") == ("none_created", 1, None)
    statements = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
    await apply_events(engine, chain[-1].created(2), chain[-1].finished(JobOutcome.ALL_CREATED))
    assert await story(engine, "job-000") == ("all_created_after_correction", 1, None)
    assert 0 < len(statements) < 40
