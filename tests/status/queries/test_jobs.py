"""What the API says of jobs, field by field."""

import hashlib
from datetime import datetime, timedelta

import pytest

from services.status.queries.cursors import cursor
from shared.contract.events import JobOutcome, RowErrorCode
from shared.runtime.settings import ApiKey
from tests.support.status.job_histories import NOON, JobHistory, apply_events, at, report
from tests.support.status.status_api import api_client


@pytest.fixture
async def api(engine):
    """The API on empty tables, of either database."""
    async with api_client(engine) as api:
        yield api


def moment(seconds):
    return at(seconds).isoformat().replace("+00:00", "Z")


async def test_a_job_just_accepted(api, engine):
    """Every field has its honest beginning."""
    api.clock.set(1)
    await apply_events(engine, JobHistory(total=3).accepted(), report(seconds=0))
    answer = await api.get("/status/job-1")
    assert answer.status_code == 200
    assert answer.json() == {
        "job_id": "job-1",
        "batch_ids": ["job-1-batch-0"],
        "file_name": "hospitals.csv",
        "status": "pending",
        "outcome": None,
        "message": "Waiting to process 3 hospitals",
        "total_hospitals": 3,
        "processed_hospitals": 0,
        "created_hospitals": 0,
        "failed_hospitals": 0,
        "unprocessed_hospitals": 0,
        "unknown_hospitals": 0,
        "corrects": None,
        "corrected_by": [],
        "corrected_hospitals": 0,
        "progress_percentage": 0.0,
        "activated": False,
        "created_at": moment(0),
        "started_at": None,
        "completed_at": None,
        "cancel_requested_at": None,
        "cancel_reason": None,
        "processing_time_seconds": None,
        "active_seconds": 0.0,
        "eta_seconds": None,
        "waiting_for": None,
        "waiting_since": None,
        "next_try_at": None,
        "error": None,
        "result": {
            "batch_id": "job-1-batch-0",
            "total_hospitals": 3,
            "processed_hospitals": 0,
            "failed_hospitals": 0,
            "processing_time_seconds": None,
            "batch_activated": False,
            "hospitals": [],
        },
    }


async def test_a_job_in_the_middle(api, engine):
    """Status answers while a job runs, with the pace of the last minute."""
    api.clock.set(12)
    job = JobHistory(total=30)
    results = [job.created(row, seconds=row) for row in range(2, 11)] + [job.failed(11, seconds=11)]
    said = report(seconds=0, rate_limit=1), report(seconds=11, rate_limit=1, rows_per_second=0.5)
    await apply_events(engine, job.accepted(), *results, said[0])
    await apply_events(engine, said[1])
    answer = (await api.get("/status/job-1")).json()
    assert answer["status"] == "processing"
    assert answer["message"] == "Processing 10 of 30 hospitals"
    assert (answer["processed_hospitals"], answer["created_hospitals"], answer["failed_hospitals"]) == (10, 9, 1)
    assert answer["progress_percentage"] == 33.33
    assert (answer["started_at"], answer["active_seconds"]) == (moment(1), 11.0)
    assert answer["waiting_for"] == "rate_limit"
    assert answer["eta_seconds"] == 20.0, "20 rows left at one a second"
    assert len(answer["result"]["hospitals"]) == 10


async def test_a_job_all_created_and_activated(api, engine):
    """What clients of the original application wait for."""
    job = JobHistory(total=2, batches=2)
    finished = job.finished(JobOutcome.ALL_CREATED, seconds=4)
    await apply_events(engine, job.accepted(), job.created(2), job.created(3), finished, job.activated(0, seconds=5))
    api.clock.set(6)
    waiting = (await api.get("/status/job-1")).json()
    assert (waiting["status"], waiting["message"]) == ("processing", "All hospitals created, activating")
    assert waiting["outcome"] is None
    assert [row["status"] for row in waiting["result"]["hospitals"]] == ["created_and_activated", "created"]

    await apply_events(engine, job.activated(1, seconds=6))
    answer = (await api.get("/status/job-1")).json()
    assert (answer["status"], answer["outcome"], answer["activated"]) == ("completed", "all_created", True)
    assert answer["message"] == "All hospitals created and activated"
    assert answer["progress_percentage"] == 100.0
    assert (answer["completed_at"], answer["processing_time_seconds"]) == (moment(6), 5.0)
    assert (answer["waiting_for"], answer["eta_seconds"], answer["error"]) == (None, None, None)
    assert answer["result"] == {
        "batch_id": "job-1-batch-0",
        "total_hospitals": 2,
        "processed_hospitals": 2,
        "failed_hospitals": 0,
        "processing_time_seconds": 5.0,
        "batch_activated": True,
        "hospitals": [
            {"row": 2, "name": "Hospital 2", "status": "created_and_activated"},
            {"row": 3, "name": "Hospital 3", "status": "created_and_activated"},
        ],
    }


async def test_a_job_whose_activation_was_refused(api, engine):
    """It is completed, and says what to do."""
    job = JobHistory(total=1)
    await apply_events(engine, job.accepted(), job.created(2), job.finished(JobOutcome.ALL_CREATED), job.refused())
    answer = (await api.get("/status/job-1")).json()
    assert (answer["status"], answer["activated"], answer["result"]["batch_activated"]) == ("completed", False, False)
    assert "PATCH /api/v1/hospitals/bulk/batch/job-1-batch-0/activate" in answer["message"]
    assert answer["error"] == "The directory did not activate the hospitals: Maintenance"


async def test_a_job_of_which_nothing_was_created(api, engine):
    """Clients poll for `completed` or `failed`."""
    job = JobHistory(total=1)
    await apply_events(engine, job.accepted(), job.failed(2), job.finished(JobOutcome.NONE_CREATED))
    answer = (await api.get("/status/job-1")).json()
    assert (answer["status"], answer["outcome"]) == ("failed", "none_created")
    assert "outcome=failed" in answer["error"]


async def test_a_cancelled_job_reaches_100_per_cent(api, engine):
    """Rows that were not sent are processed too."""
    job = JobHistory(total=2)
    await apply_events(
        engine,
        job.accepted(),
        job.cancelled(),
        job.created(2),
        job.unprocessed(3),
        job.finished(JobOutcome.CANCELLED),
    )
    answer = (await api.get("/status/job-1")).json()
    assert (answer["status"], answer["outcome"]) == ("cancelled", "cancelled")
    assert (answer["processed_hospitals"], answer["unprocessed_hospitals"]) == (2, 1)
    assert answer["progress_percentage"] == 100.0


async def test_percentages_are_rounded_down(api, engine):
    """100 means all."""
    job = JobHistory(total=3_001)
    await apply_events(engine, job.accepted(), *(job.created(row) for row in range(2, 3_002)))
    answer = (await api.get("/status/job-1")).json()
    assert (answer["progress_percentage"], answer["result"]) == (99.96, None)


async def test_what_failed_before_a_retry_is_not_shown_as_failed_during_it(api, engine):
    """Its next result is still to come."""
    job = JobHistory(total=2)
    await apply_events(engine, job.accepted(), job.created(2), job.failed(3))
    await apply_events(engine, job.finished(JobOutcome.SOME_FAILED), job.retried(2))
    answer = (await api.get("/status/job-1")).json()
    assert (answer["status"], answer["processed_hospitals"]) == ("processing", 1)
    assert [row["row"] for row in answer["result"]["hospitals"]] == [2]
    assert (await api.get("/jobs/job-1/rows?outcome=failed")).json()["rows"] == []


async def test_the_list_shows_the_newest_first_in_pages(api, engine):
    """Without batch_ids and result; the cursor leads through all of them once."""
    stories = [JobHistory(total=1, job_id=f"job-{number}") for number in range(5)]
    await apply_events(engine, *(job.accepted(seconds=number // 2) for number, job in enumerate(stories)))
    first = (await api.get("/jobs?limit=2")).json()
    second = (await api.get("/jobs", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    third = (await api.get("/jobs", params={"limit": 2, "cursor": second["next_cursor"]})).json()
    pages = [[job["job_id"] for job in page["jobs"]] for page in (first, second, third)]
    assert pages == [["job-4", "job-3"], ["job-2", "job-1"], ["job-0"]]
    assert (first["total_jobs"], third["next_cursor"]) == (5, None)
    full = (await api.get("/status/job-4")).json()
    assert first["jobs"][0].keys() == full.keys() - {"batch_ids", "result"}


async def test_the_list_can_be_narrowed_to_a_status(api, engine):
    """total_jobs counts those that fit."""
    done, fresh = JobHistory(total=1, job_id="done"), JobHistory(total=1, job_id="fresh")
    await apply_events(
        engine, fresh.accepted(), done.accepted(), done.failed(2), done.finished(JobOutcome.NONE_CREATED)
    )
    answer = (await api.get("/jobs?status=failed")).json()
    assert ([job["job_id"] for job in answer["jobs"]], answer["total_jobs"]) == (["done"], 1)


async def test_a_job_of_which_only_results_are_known_is_not_listed(api, engine):
    """Nobody knows yet whose it is."""
    await apply_events(engine, JobHistory().created(2))
    assert (await api.get("/jobs")).json() == {"total_jobs": 0, "jobs": [], "next_cursor": None}


async def test_rows_come_in_the_order_of_the_file_in_pages(api, engine):
    """With every field, whatever order they were done in."""
    job = JobHistory(total=4)
    await apply_events(
        engine,
        job.accepted(),
        job.unprocessed(5),
        job.created(3, hospital_id="H-3"),
        job.failed(4, code=RowErrorCode.REJECTED, http_status=422),
        job.created(2),
    )
    first = (await api.get("/jobs/job-1/rows?limit=2")).json()
    second = (await api.get("/jobs/job-1/rows", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    known = {"attempts": 1, "error_code": None, "error": None, "outcome_unknown": False, "corrected": False}
    assert first["rows"] + second["rows"] == [
        {"row": 2, "name": "Hospital 2", "status": "created", "hospital_id": 20} | known,
        {"row": 3, "name": "Hospital 3", "status": "created", "hospital_id": "H-3"} | known,
        known
        | {
            "row": 4,
            "name": "Hospital 4",
            "status": "failed",
            "hospital_id": None,
            "error_code": "rejected",
            "error": "rejected in round 1",
        },
        known
        | {
            "row": 5,
            "name": "Hospital 5",
            "status": "unprocessed",
            "hospital_id": None,
            "error": "The job was cancelled.",
        },
    ]
    assert second["next_cursor"] is None


async def test_rows_say_of_which_nobody_knows_what_became(api, engine):
    """Until somebody looked: then they are failed or created like any other; the next round may leave it open again."""
    job = JobHistory(total=4)
    unknown = [job.failed(row, code=RowErrorCode.OUTCOME_UNKNOWN) for row in (2, 3, 4)]
    await apply_events(engine, job.accepted(), *unknown, job.failed(5), job.resolved(3, None), job.resolved(4, 77))
    rows = (await api.get("/jobs/job-1/rows")).json()["rows"]
    assert [(row["status"], row["outcome_unknown"]) for row in rows] == [
        ("failed", True),
        ("failed", False),
        ("created", False),
        ("failed", False),
    ]
    again = job.failed(3, round_=2, code=RowErrorCode.OUTCOME_UNKNOWN)
    await apply_events(engine, job.finished(JobOutcome.SOME_FAILED), job.retried(2), again)
    rows = (await api.get("/jobs/job-1/rows?outcome=failed")).json()["rows"]
    assert [(row["row"], row["outcome_unknown"]) for row in rows] == [(3, True)]


@pytest.mark.parametrize(("outcome", "expected"), [("created", [2]), ("failed", [3]), ("unprocessed", [4])])
async def test_rows_can_be_narrowed_to_an_outcome(api, engine, outcome, expected):
    """Each of the three."""
    job = JobHistory(total=3)
    await apply_events(engine, job.accepted(), job.created(2), job.failed(3), job.unprocessed(4))
    answer = (await api.get(f"/jobs/job-1/rows?outcome={outcome}")).json()
    assert [row["row"] for row in answer["rows"]] == expected


@pytest.mark.parametrize(
    "path",
    [
        "/jobs?limit=0",
        "/jobs?limit=201",
        "/jobs?limit=x",
        "/jobs?status=done",
        "/jobs?cursor=x",
        "/jobs?cursor=WzEyXQ",
        "/jobs?cursor=%C3%A4",
        "/jobs/job-1/rows?limit=1001",
        "/jobs/job-1/rows?outcome=created_and_activated",
        "/jobs/job-1/rows?cursor=WyJhIl0",
        f"/jobs/job-1/rows?cursor={cursor(2**31)}",
        f"/jobs/job-1/history?cursor={cursor(2**63)}",
    ],
)
async def test_a_wrong_parameter_is_a_problem_400(api, path):
    """Named, and never a 500."""
    answer = await api.get(path)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().keys() == {"type", "title", "status", "detail", "error_type"}


KEYS = tuple(
    ApiKey(tenant=tenant, sha256=hashlib.sha256(key.encode()).hexdigest())
    for tenant, key in (("north", "n-key"), ("south", "s-key"))
)


async def test_each_tenant_sees_its_own_jobs_only(sqlite):
    """Another's ids are 404, in every call."""
    await apply_events(
        sqlite, JobHistory(total=1).accepted(), JobHistory(total=1, job_id="job-2", tenant="south").accepted()
    )
    await apply_events(sqlite, JobHistory(total=1).created(2))
    async with api_client(sqlite, KEYS) as api:
        south = {"headers": {"X-API-Key": "s-key"}}
        listed = (await api.get("/jobs", **south)).json()
        assert ([job["job_id"] for job in listed["jobs"]], listed["total_jobs"]) == (["job-2"], 1)
        api.ends.end = 0
        async with sqlite.begin() as connection:
            await connection.exec_driver_sql("INSERT INTO status_offsets VALUES ('hospital.jobs', 0, 2)")
        assert (await api.get("/status/job-2", **south)).status_code == 200
        assert (await api.get("/status/job-1", **south)).status_code == 404
        assert (await api.get("/jobs/job-1/rows", **south)).status_code == 404
        assert (await api.patch("/bulk/batch/job-1-batch-0/activate", **south)).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "guessed"}])
async def test_nobody_sees_anything_without_a_key_where_keys_are_set(sqlite, headers):
    """401, as a problem."""
    async with api_client(sqlite, KEYS) as api:
        answer = await api.get("/jobs", headers=headers)
    assert (answer.status_code, answer.json()["error_type"]) == (401, "unauthorized")


async def test_times_are_told_in_utc(api, engine):
    """With their zone, so that nobody has to guess."""
    await apply_events(engine, JobHistory().accepted())
    said = (await api.get("/status/job-1")).json()["created_at"]
    assert datetime.fromisoformat(said) == NOON
    assert datetime.fromisoformat(said).utcoffset() == timedelta(0)


async def test_a_search_finds_in_file_names_and_ids_in_any_case(api, engine):
    """Also beyond ASCII, which SQLite's own `lower` leaves alone; what are wildcards elsewhere are plain text."""
    names = {"job-1": "Überlingen 100%.csv", "job-2": "lindau_2026.csv", "job-3": "LINDAU.csv"}
    for job_id, name in names.items():
        await apply_events(engine, JobHistory(job_id=job_id).accepted().model_copy(update={"file_name": name}))

    async def found(text, **more):
        answer = (await api.get("/jobs", params={"q": text, **more})).json()
        assert answer["total_jobs"] == len(answer["jobs"])
        return sorted(job["job_id"] for job in answer["jobs"])

    assert await found("ÜBER") == ["job-1"]
    assert await found("lindau") == ["job-2", "job-3"]
    assert await found("JOB-2") == ["job-2"]
    assert await found("0%.") == ["job-1"]
    assert await found("u_2") == ["job-2"]
    assert await found("lin%au") == await found("nobody") == []
    assert await found("lindau", status="completed") == []
    assert await found("a\0b") == []
    assert await found("") == ["job-1", "job-2", "job-3"]


async def test_a_cancelled_job_is_over_when_nothing_can_be_under_way_any_more(api, engine):
    """Rows behind the windows count as unprocessed; when they have their results, nothing changes but the reason."""
    job = JobHistory(total=5)
    await apply_events(engine, job.accepted(), job.created(2), job.failed(3), job.cancelled(seconds=5))
    api.clock.set(54.9)
    before = (await api.get("/status/job-1")).json()
    assert (before["status"], before["processed_hospitals"], before["outcome"]) == ("processing", 2, None)
    api.clock.set(55)
    over = (await api.get("/status/job-1")).json()
    assert (over["status"], over["outcome"], over["progress_percentage"]) == ("cancelled", "cancelled", 100.0)
    assert [over[f"{kind}_hospitals"] for kind in ("created", "failed", "unprocessed")] == [1, 1, 3]
    assert (over["completed_at"], over["waiting_for"], over["eta_seconds"]) == (moment(55), None, None)
    for status, jobs in (("cancelled", 1), ("processing", 0), ("completed", 0)):
        assert (await api.get(f"/jobs?status={status}")).json()["total_jobs"] == jobs

    rows = [job.unprocessed(row, seconds=300) for row in (4, 5, 6)]
    await apply_events(engine, *rows)
    assert (await api.get("/status/job-1")).json() | {"result": None} == over | {"result": None}
    await apply_events(engine, job.finished(JobOutcome.CANCELLED, seconds=301))
    assert (await api.get("/status/job-1")).json() | {"result": None} == over | {"result": None}


async def test_a_cancel_that_came_too_late_changes_nothing(api, engine):
    """Every row was created: the job is activated and completed."""
    api.clock.set(100)
    job = JobHistory(total=1)
    await apply_events(engine, job.accepted(), job.cancelled(), job.created(2))
    assert (await api.get("/status/job-1")).json()["status"] == "processing"
    await apply_events(engine, job.finished(JobOutcome.ALL_CREATED), job.activated())
    assert (await api.get("/status/job-1")).json()["status"] == "completed"


async def test_the_batches_of_a_job_say_each_whether_it_is_activated(api, engine):
    """In order; a refusal counts until somebody has activated the batch by hand."""
    job = JobHistory(total=3, batches=3)
    answers = [job.activated(0, seconds=6), job.refused(1, seconds=7), job.refused(2, seconds=8)]
    by_hand = job.activated(2, request_id="by-hand", seconds=90)
    finished = job.finished(JobOutcome.ALL_CREATED)
    await apply_events(engine, job.accepted(), *(job.created(row) for row in (2, 3, 4)), finished, *answers, by_hand)
    found = (await api.get("/jobs/job-1/batches")).json()["batches"]
    assert found == [
        {"batch_id": "job-1-batch-0", "activated": True, "activated_at": moment(6), "error": None},
        {"batch_id": "job-1-batch-1", "activated": False, "activated_at": None, "error": "Maintenance"},
        {"batch_id": "job-1-batch-2", "activated": True, "activated_at": moment(90), "error": None},
    ]
