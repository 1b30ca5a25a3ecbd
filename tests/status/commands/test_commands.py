"""Commands over HTTP: each is an event on the topic, or a 409 that says why it makes no sense now."""

import time

import pytest

from shared.contract.events import JobCancelRequested, JobOutcome, JobRetryRequested, RowErrorCode, RowResolved
from shared.runtime.settings import ApiKey
from tests.support.status.job_histories import SETTLING_SECONDS, JobHistory, apply_events
from tests.support.status.status_api import api_client

HISTORY = JobHistory(total=3)
RUNNING = [HISTORY.accepted(), HISTORY.created(2)]
PARTLY_FAILED = [*RUNNING, HISTORY.failed(3), HISTORY.failed(4), HISTORY.finished(JobOutcome.SOME_FAILED)]
UNKNOWN = [
    *RUNNING,
    HISTORY.created(3),
    HISTORY.failed(4, code=RowErrorCode.OUTCOME_UNKNOWN),
    HISTORY.finished(JobOutcome.SOME_FAILED),
]


@pytest.fixture
async def api(sqlite):
    """The API on empty tables."""
    async with api_client(sqlite) as api:
        yield api


def body_of(command):
    """What the command has to say."""
    return {"absent": True} if command.endswith("resolve") else None


def found_by(command):
    """The same, by somebody who has found the hospital."""
    return {"hospital_id": 7} if command.endswith("resolve") else None


def said(answer):
    """The status code and the kind of problem."""
    return answer.status_code, answer.json().get("error_type")


async def test_a_cancel_is_an_event_that_says_by_when_it_is_settled(api, sqlite):
    """202; what was sent before is settled lease + time-out + settle time later."""
    await apply_events(sqlite, *RUNNING)
    answer = await api.post("/jobs/job-1/cancel")
    assert answer.status_code == 202
    assert answer.json() == {
        "job_id": "job-1",
        "round": 1,
        "message": "The job is being cancelled: what of the 2 hospitals left has not been sent will not be sent.",
    }
    [event] = api.publisher.sent
    assert isinstance(event, JobCancelRequested)
    assert (event.tenant, event.job_id, event.round) == ("north", "job-1", 1)
    assert (event.settles_at - event.occurred_at).total_seconds() == pytest.approx(SETTLING_SECONDS, abs=1)


async def test_a_second_cancel_of_a_round_writes_nothing(api, sqlite):
    """The first one stands."""
    api.clock.set(2)
    await apply_events(sqlite, *RUNNING, HISTORY.cancelled())
    assert (await api.post("/jobs/job-1/cancel")).status_code == 202
    assert api.publisher.sent == []


async def test_a_job_that_has_ended_cannot_be_cancelled(api, sqlite):
    """What was created stays created."""
    await apply_events(sqlite, *PARTLY_FAILED)
    assert said(await api.post("/jobs/job-1/cancel")) == (409, "job_ended")


async def test_a_job_whose_rows_all_have_results_cannot_be_cancelled(api, sqlite):
    """It only waits for its activation."""
    await apply_events(
        sqlite, *RUNNING, HISTORY.created(3), HISTORY.created(4), HISTORY.finished(JobOutcome.ALL_CREATED)
    )
    assert said(await api.post("/jobs/job-1/cancel")) == (409, "job_ended")


async def test_a_retry_asks_for_the_next_round(api, sqlite):
    """It says how many hospitals run again."""
    await apply_events(sqlite, *PARTLY_FAILED)
    answer = await api.post("/jobs/job-1/retry")
    assert (answer.status_code, answer.json()["round"]) == (202, 2)
    assert answer.json()["message"] == "2 hospitals run again, as round 2."
    [event] = api.publisher.sent
    assert isinstance(event, JobRetryRequested)
    assert (event.tenant, event.job_id, event.round) == ("north", "job-1", 2)


async def test_a_retry_may_choose_by_error_code(api, sqlite):
    """The event says which, and who asked."""
    rows = [HISTORY.failed(3, code=RowErrorCode.ATTEMPTS_EXHAUSTED), HISTORY.failed(4)]
    await apply_events(sqlite, *RUNNING, *rows, HISTORY.finished(JobOutcome.SOME_FAILED))
    answer = await api.post("/jobs/job-1/retry", json={"codes": ["attempts_exhausted"]})
    assert answer.json()["message"] == "1 hospital runs again, as round 2."
    [event] = api.publisher.sent
    assert (event.codes, event.requested_by) == (("attempts_exhausted",), "default")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"codes": ["outcome_unknown"]}, (409, "nothing_to_retry")),
        ({"codes": ["undecodable"]}, (400, "invalid_request")),
        ({"code": "rejected"}, (400, "invalid_request")),
    ],
)
async def test_a_retry_of_a_code_that_no_row_has_is_refused(api, sqlite, body, expected):
    """Nor is a word misspelt that would run all rows."""
    await apply_events(sqlite, *PARTLY_FAILED)
    assert said(await api.post("/jobs/job-1/retry", json=body)) == expected
    assert api.publisher.sent == []


async def test_rows_that_stand_in_a_correction_are_not_retried(api, sqlite):
    """When none is left there is nothing to retry here."""
    first, second = JobHistory(total=1, job_id="first"), JobHistory(total=1, job_id="second")
    await apply_events(sqlite, *PARTLY_FAILED, first.corrects(HISTORY, [3]))
    assert (await api.post("/jobs/job-1/retry")).json()["message"] == "1 hospital runs again, as round 2."
    await apply_events(sqlite, HISTORY.failed(3, 2, carried_over=True), HISTORY.failed(4, 2))
    await apply_events(sqlite, HISTORY.finished(JobOutcome.SOME_FAILED, 2, 8), second.corrects(HISTORY, [4]))
    answer = await api.post("/jobs/job-1/retry")
    assert said(answer) == (409, "nothing_to_retry")
    assert "correction" in answer.json()["detail"]


async def test_a_retry_waits_until_every_correction_accepted_before_it_is_known(sqlite):
    """It may lie in a partition that is projected late: its rows would run twice."""
    await apply_events(sqlite, *PARTLY_FAILED)
    async with api_client(sqlite, answer_seconds=1) as api:
        api.ends.end = 5
        assert said(await api.post("/jobs/job-1/retry")) == (503, "not_known_yet")
        assert api.publisher.sent == []


async def test_a_cancelled_job_can_be_retried(api, sqlite):
    """Its unprocessed rows run."""
    rows = [HISTORY.unprocessed(3), HISTORY.unprocessed(4)]
    await apply_events(sqlite, *RUNNING, HISTORY.cancelled(), *rows, HISTORY.finished(JobOutcome.CANCELLED))
    assert (await api.post("/jobs/job-1/retry")).status_code == 202


@pytest.mark.parametrize("more", [[], [HISTORY.failed(3), HISTORY.failed(4)]])
async def test_a_running_job_cannot_be_retried(api, sqlite, more):
    """Also when only its JobFinished is still to be read back."""
    await apply_events(sqlite, *RUNNING, *more)
    assert said(await api.post("/jobs/job-1/retry")) == (409, "job_running")


async def test_a_job_without_failures_has_nothing_to_retry(api, sqlite):
    """Every hospital was created."""
    rows = [HISTORY.created(3), HISTORY.created(4)]
    await apply_events(sqlite, *RUNNING, *rows, HISTORY.finished(JobOutcome.ALL_CREATED), HISTORY.activated())
    assert said(await api.post("/jobs/job-1/retry")) == (409, "nothing_to_retry")


async def test_rows_whose_event_could_not_be_read_cannot_be_retried(api, sqlite):
    """Nobody knows what stood in them."""
    rows = [HISTORY.created(3), HISTORY.failed(4, code=RowErrorCode.UNDECODABLE)]
    await apply_events(sqlite, *RUNNING, *rows, HISTORY.finished(JobOutcome.SOME_FAILED))
    answer = await api.post("/jobs/job-1/retry")
    assert said(answer) == (409, "nothing_to_retry")
    assert "upload them as a new file" in answer.json()["detail"]


async def test_a_cancelled_job_that_is_still_wound_up_cannot_be_retried_yet(api, sqlite):
    """It is called cancelled, but rows behind the windows have no result: the retry would overtake them."""
    api.clock.set(1 + SETTLING_SECONDS)
    await apply_events(sqlite, *RUNNING, HISTORY.cancelled(seconds=1))
    assert (await api.get("/status/job-1")).json()["status"] == "cancelled"
    answer = await api.post("/jobs/job-1/retry")
    assert said(answer) == (409, "job_winding_up")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("body", "hospital_id"), [({"hospital_id": 77}, 77), ({"hospital_id": "h-77"}, "h-77"), ({"absent": True}, None)]
)
async def test_a_row_whose_outcome_is_unknown_is_settled_by_the_word_of_a_person(api, sqlite, body, hospital_id):
    """The event says who, and its time when; without keys everybody is the one tenant."""
    await apply_events(sqlite, *UNKNOWN)
    answer = await api.post("/jobs/job-1/rows/4/resolve", json=body)
    assert (answer.status_code, answer.json()["row"], answer.json()["round"]) == (202, 4, 1)
    [event] = api.publisher.sent
    assert isinstance(event, RowResolved)
    assert (event.tenant, event.job_id, event.row, event.round) == ("north", "job-1", 4, 1)
    assert (event.hospital_id, event.resolved_by) == (hospital_id, "default")


async def test_who_settled_a_row_is_the_name_of_the_key(sqlite):
    """The audit names the tenant whose key was used."""
    digest = "6f9b9af3cd6e8b8a73c2cdced37fe9f59226e27d4d1f1b3f8a1e9c1c0c2a3c41"
    await apply_events(sqlite, *UNKNOWN)
    async with api_client(sqlite, (ApiKey(tenant="north", sha256=digest),)) as api:
        assert (await api.post("/jobs/job-1/rows/4/resolve", json={"absent": True})).status_code == 401
        assert api.publisher.sent == []


async def test_somebody_may_look_again_and_find_it_after_all(api, sqlite):
    """As long as the row has not run again."""
    await apply_events(sqlite, *UNKNOWN, HISTORY.resolved(4, None))
    assert (await api.post("/jobs/job-1/rows/4/resolve", json={"hospital_id": 77})).status_code == 202


@pytest.mark.parametrize(
    ("events", "row", "expected"),
    [
        (PARTLY_FAILED, 2, (409, "row_not_unknown")),
        (PARTLY_FAILED, 3, (409, "row_not_unknown")),
        ([*UNKNOWN, HISTORY.resolved(4, 77)], 4, (409, "row_not_unknown")),
        ([*UNKNOWN, HISTORY.retried(2)], 4, (409, "row_running")),
        (RUNNING, 4, (409, "row_running")),
        (RUNNING, 1, (409, "row_running")),
        (RUNNING, 0, (404, "not_found")),
        (UNKNOWN, 5, (404, "not_found")),
        (UNKNOWN, 1, (404, "not_found")),
    ],
)
async def test_no_other_row_can_be_resolved_by_hand(api, sqlite, events, row, expected):
    """Created, failed for certain, resolved already, running, or none of the job's. A file may have no header."""
    await apply_events(sqlite, *events)
    assert said(await api.post(f"/jobs/job-1/rows/{row}/resolve", json={"absent": True})) == expected
    assert api.publisher.sent == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        7,
        {"hospital_id": 7, "absent": True},
        {"absent": False},
        {"hospital_id": ""},
        {"hospital_id": "a\0b"},
        {"hospital_id": True},
        {"hospital_id": None},
        {"hospital_id": 7, "found": 1},
    ],
)
async def test_a_decision_is_either_a_hospital_or_absent(api, sqlite, body):
    """Anything else is 400."""
    await apply_events(sqlite, *UNKNOWN)
    answer = await api.post("/jobs/job-1/rows/4/resolve", json=body)
    assert said(answer) == (400, "invalid_request")


@pytest.mark.parametrize("command", ["cancel", "retry", "rows/2/resolve"])
async def test_commands_for_an_unknown_job_are_404(api, sqlite, command):
    """Once hospital.jobs was projected."""
    async with sqlite.begin() as connection:
        await connection.exec_driver_sql("INSERT INTO status_offsets VALUES ('hospital.jobs', 0, 0)")
    assert said(await api.post(f"/jobs/nobody/{command}", json=body_of(command))) == (404, "not_found")


@pytest.mark.parametrize(
    ("events", "command"), [(RUNNING, "cancel"), (PARTLY_FAILED, "retry"), (UNKNOWN, "rows/4/resolve")]
)
async def test_kafka_being_down_is_503_within_2_seconds(api, sqlite, events, command):
    """As the error type that clients know; no command was taken."""
    await apply_events(sqlite, *events)
    api.publisher.down = True
    began = time.monotonic()
    answer = await api.post(f"/jobs/job-1/{command}", json=body_of(command))
    assert said(answer) == (503, "message_queue_unavailable")
    assert time.monotonic() - began < 2


async def test_another_tenants_job_takes_no_commands(sqlite):
    """It is 404, as if it were not there."""
    await apply_events(sqlite, *RUNNING)
    async with sqlite.begin() as connection:
        await connection.exec_driver_sql("INSERT INTO status_offsets VALUES ('hospital.jobs', 0, 0)")
    keys = [ApiKey(tenant="south", sha256="5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8")]
    async with api_client(sqlite, tuple(keys)) as api:
        answer = await api.post("/jobs/job-1/cancel", headers={"X-API-Key": "password"})
    assert said(answer) == (404, "not_found")


COMMANDS = [(RUNNING, "cancel"), (PARTLY_FAILED, "retry"), (UNKNOWN, "rows/4/resolve")]


@pytest.mark.parametrize(("events", "command"), COMMANDS)
async def test_the_first_status_after_a_command_knows_of_it(api, sqlite, events, command):
    """A page that asks again at once must not show the job as it was."""
    await apply_events(sqlite, *events)
    before = (await api.get("/status/job-1")).json()
    assert (await api.post(f"/jobs/job-1/{command}", json=found_by(command))).status_code == 202
    after = (await api.get("/status/job-1")).json()
    shown = ("status", "message", "created_hospitals")
    assert [before[each] for each in shown] != [after[each] for each in shown]


@pytest.mark.parametrize(("events", "command"), COMMANDS)
async def test_a_command_that_is_not_projected_in_time_is_no_202_and_says_that_it_was_taken(sqlite, events, command):
    """It stands: the usual 503, which says that nothing was kept, would not be true."""
    await apply_events(sqlite, *events)
    async with api_client(sqlite, shown_seconds=0.1) as api:
        api.writer.lagging = True
        answer = await api.post(f"/jobs/job-1/{command}", json=body_of(command))
        assert said(answer) == (503, "command_not_shown")
        assert "was taken" in answer.json()["detail"]


@pytest.mark.parametrize(("events", "command"), COMMANDS)
async def test_a_command_of_which_nobody_knows_whether_it_stands_says_so(api, sqlite, events, command):
    """Neither a 202 nor the usual 503 would be true."""
    await apply_events(sqlite, *events)
    api.publisher.unsettled = True
    answer = await api.post(f"/jobs/job-1/{command}", json=body_of(command))
    assert said(answer) == (503, "command_outcome_unknown")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("meanwhile", "body", "expected"),
    [
        (HISTORY.retried(2), {"hospital_id": 7}, (409, "row_running")),
        (HISTORY.resolved(4, 77), {"absent": True}, (409, "row_not_unknown")),
        (HISTORY.resolved(4, 77), {"hospital_id": 77}, (202, None)),
        (HISTORY.resolved(4, None), {"hospital_id": 77}, (202, None)),
    ],
)
async def test_a_decision_that_comes_too_late_to_count_is_refused(api, sqlite, meanwhile, body, expected):
    """Others did something in the same moment: a 202 would say that the row counts as decided."""
    await apply_events(sqlite, *UNKNOWN)
    api.writer.meanwhile = [meanwhile]
    assert said(await api.post("/jobs/job-1/rows/4/resolve", json=body)) == expected


async def test_a_retry_that_comes_too_late_to_count_is_refused(api, sqlite):
    """The job was finished once more in the same moment, so its next round is another one."""
    await apply_events(sqlite, *PARTLY_FAILED)
    api.writer.meanwhile = [HISTORY.finished(JobOutcome.ALL_CREATED, round_=2)]
    assert said(await api.post("/jobs/job-1/retry")) == (409, "job_moved_on")


async def test_two_retries_in_the_same_moment_are_both_accepted(api, sqlite):
    """They ask for the same round, which is run."""
    await apply_events(sqlite, *PARTLY_FAILED)
    api.writer.meanwhile = [HISTORY.retried(2)]
    assert said(await api.post("/jobs/job-1/retry")) == (202, None)
