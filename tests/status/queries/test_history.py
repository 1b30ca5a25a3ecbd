"""Who did what to a job, why its rows failed, and which jobs somebody should look at."""

import pytest

from shared.contract.events import JobOutcome, RowErrorCode
from tests.support.status.job_histories import SETTLING_SECONDS, JobHistory, apply_events, at
from tests.support.status.status_api import api_client


@pytest.fixture
async def api(engine):
    """The API on empty tables, of either database."""
    async with api_client(engine) as api:
        yield api


JOB = JobHistory(total=4)
UNKNOWN = RowErrorCode.OUTCOME_UNKNOWN
STORY = [
    JOB.accepted(0),
    JOB.created(2),
    JOB.failed(3),
    JOB.failed(4, code=UNKNOWN),
    JOB.cancelled(seconds=3).model_copy(update={"requested_by": "ann"}),
    JOB.unprocessed(5, seconds=3),
    JOB.finished(JobOutcome.CANCELLED, seconds=4),
    JOB.resolved(4, 77, seconds=5),
    JOB.retried(2, seconds=6).model_copy(update={"codes": ("rejected",), "requested_by": "bob"}),
    JOB.unprocessed(5, round_=2, seconds=6),
    JOB.created(3, round_=2, seconds=8),
    JOB.finished(JobOutcome.CANCELLED, round_=2, seconds=9),
    JOB.activation_requested(0, "by-hand", seconds=10).model_copy(update={"requested_by": "ann"}),
]


def moment(seconds):
    return at(seconds).isoformat().replace("+00:00", "Z")


async def test_the_history_tells_every_command_and_round_in_order(api, engine):
    """With who gave it, also when its events are read twice."""
    await apply_events(engine, *STORY)
    await apply_events(engine, STORY[4], JOB.retried(2, seconds=11))
    answer = (await api.get("/jobs/job-1/history")).json()
    told = [(entry["kind"], entry["at"], entry["requested_by"]) for entry in answer["entries"]]
    assert told == [
        ("upload", moment(0), "north"),
        ("cancel", moment(3), "ann"),
        ("finished", moment(4), None),
        ("resolve", moment(5), "ann"),
        ("retry", moment(6), "bob"),
        ("finished", moment(9), None),
        ("activate", moment(10), "ann"),
    ]
    cancel, first, resolve, retry, _, activate = answer["entries"][1:]
    assert (cancel["reason"], cancel["round"], first["outcome"]) == ("user", 1, "cancelled")
    assert (resolve["row"], resolve["hospital_id"], activate["batch_id"]) == (4, 77, "job-1-batch-0")
    assert (retry["codes"], retry["round"], retry["ignored"]) == (["rejected"], 2, False)
    assert [(each["round"], each["started_at"], each["finished_at"]) for each in answer["rounds"]] == [
        (1, moment(1), moment(4)),
        (2, moment(5), moment(9)),
    ]


async def test_the_history_comes_in_pages(api, engine):
    """Somebody may have resolved thousands of rows."""
    await apply_events(engine, *STORY)
    found, cursor = [], None
    while not found or cursor:
        answer = (
            await api.get("/jobs/job-1/history", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        found += [entry["kind"] for entry in answer["entries"]]
        cursor = answer["next_cursor"]
    assert found == ["upload", "cancel", "finished", "resolve", "retry", "finished", "activate"]


async def test_a_retry_that_came_too_late_says_so(api, engine):
    """It asked for a round that was not the next."""
    await apply_events(engine, *STORY[:7], JOB.retried(3, seconds=6))
    assert (await api.get("/jobs/job-1/history")).json()["entries"][-1]["ignored"] is True


async def test_open_rows_are_counted_by_why_they_failed(api, engine):
    """Those that can run again: not in a correction, not created, not unreadable, and not running."""
    job = JobHistory(total=7)
    codes = [RowErrorCode.REJECTED, RowErrorCode.REJECTED, RowErrorCode.ATTEMPTS_EXHAUSTED, RowErrorCode.UNDECODABLE]
    failed = [job.failed(row, code=code) for row, code in enumerate(codes, start=2)]
    await apply_events(engine, job.accepted(), *failed, job.unprocessed(6), job.unprocessed(7), job.created(8))

    async def counts():
        answer = (await api.get("/jobs/job-1/failures")).json()["failures"]
        return {each["code"]: each["hospitals"] for each in answer}

    assert await counts() == {"rejected": 2, "unprocessed": 2, "attempts_exhausted": 1}
    await apply_events(engine, JobHistory(total=2, job_id="new").corrects(job, [2, 6, 4]))
    assert await counts() == {"rejected": 1, "unprocessed": 1}
    await apply_events(engine, job.finished(JobOutcome.CANCELLED), job.retried(2))
    assert await counts() == {}


def ended(job_id, outcome, *rows, more=()):
    """A job that has ended: a letter for each row, created, failed or unsent."""
    job = JobHistory(total=len(rows), job_id=job_id)
    made = {"c": job.created, "f": job.failed, "u": job.unprocessed, "?": lambda row: job.failed(row, code=UNKNOWN)}
    results = [made[letter](row) for row, letter in enumerate(rows, start=2)]
    return [job.accepted(), *results, job.finished(outcome), *(event(job) for event in more)]


ATTENTION = {
    "active": (ended("active", JobOutcome.ALL_CREATED, "c", more=[JobHistory.activated]), False),
    "refused": (ended("refused", JobOutcome.ALL_CREATED, "c", more=[JobHistory.refused]), True),
    "some": (ended("some", JobOutcome.SOME_FAILED, *"cf"), True),
    "unknown": (ended("unknown", JobOutcome.SOME_FAILED, *"c?"), True),
    "none": (ended("none", JobOutcome.NONE_CREATED, "f"), True),
    "by-hand": (ended("by-hand", JobOutcome.SOME_FAILED, *"cf", more=[JobHistory.activated]), True),
    "cancelled": (ended("cancelled", JobOutcome.CANCELLED, *"cu"), True),
    "unsent": (ended("unsent", JobOutcome.CANCELLED, *"uu"), False),
    "running": ([JobHistory(total=2, job_id="running").accepted(), JobHistory(job_id="running").failed(2)], False),
}


@pytest.mark.parametrize("job_id", ATTENTION)
async def test_attention_is_needed_where_rows_are_open_or_hospitals_are_not_active(api, engine, job_id):
    """Failed, unconfirmed or not active; nothing that runs, and nothing that nobody wanted to be sent."""
    events, expected = ATTENTION[job_id]
    await apply_events(engine, *events)
    found = [len((await api.get(f"/jobs?needs_attention={wanted}")).json()["jobs"]) for wanted in ("true", "false")]
    assert found == [int(expected), int(not expected)]


async def test_a_job_that_a_correction_takes_care_of_needs_no_attention(api, engine):
    """Its correction does, while a row is open there; neither when all is created; and one that was not activated."""
    old = JobHistory(total=2, job_id="old")
    new = JobHistory(total=1, job_id="new")

    async def needing():
        return [job["job_id"] for job in (await api.get("/jobs?needs_attention=true")).json()["jobs"]]

    await apply_events(engine, *ended("old", JobOutcome.SOME_FAILED, *"cf"))
    assert await needing() == ["old"]
    await apply_events(engine, new.corrects(old, [3]))
    assert await needing() == []
    await apply_events(engine, new.failed(2, seconds=12), new.finished(JobOutcome.NONE_CREATED, seconds=13))
    assert await needing() == ["new"]
    await apply_events(engine, new.retried(2, seconds=14), new.created(2, round_=2, seconds=15))
    await apply_events(engine, new.finished(JobOutcome.ALL_CREATED, 2, 16), new.activated(request_id="finished:2"))
    assert await needing() == []
    await apply_events(engine, old.activation_requested(seconds=17), old.refused(request_id="corrected:1"))
    assert await needing() == ["old"]


async def test_jobs_are_found_by_outcome_file_name_and_time(api, engine):
    """Each label finds what it says, also of a job that was cancelled and is over by the clock alone."""
    one, two = JobHistory(total=2, job_id="one"), JobHistory(total=2, job_id="two")
    await apply_events(engine, *ended("some", JobOutcome.SOME_FAILED, *"cf"), one.accepted(10, file_name="a.csv"))
    await apply_events(engine, two.accepted(20, file_name="A.csv"), two.created(2), two.cancelled(seconds=21))
    api.clock.set(30 + SETTLING_SECONDS)

    async def found(**wanted):
        return [job["job_id"] for job in (await api.get("/jobs", params=wanted)).json()["jobs"]]

    assert await found(outcome="some_failed") == ["some"]
    assert await found(outcome="cancelled") == ["two"]
    assert await found(outcome="all_created_after_correction") == []
    assert await found(file_name="a.csv") == ["one"]
    assert await found(**{"from": at(10).isoformat(), "to": at(20).isoformat()}) == ["one"]
    assert await found(**{"from": "2026-03-02T12:00:20"}) == ["two"], "without a zone it is UTC"


@pytest.mark.parametrize(
    "query", ["from=yesterday", "to=0001-01-01T00:00:00Z", "outcome=done", "needs_attention=maybe"]
)
async def test_a_filter_that_makes_no_sense_is_a_problem_400(api, query):
    """Never a 500, and never all jobs."""
    assert (await api.get(f"/jobs?{query}")).status_code == 400
