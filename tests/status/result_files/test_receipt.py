"""The receipt of a job: what it finished with, from its last JobFinished."""

import csv
from io import StringIO

import pytest
from aiokafka import TopicPartition

from client.files.result_check import check, is_whole
from client.schemas import Receipt
from services.status.lifecycle.finishing import Finishing
from services.status.projection.positions import Positions
from services.status.tables.change_signal import ChangeSignal
from shared.contract.events import JobOutcome
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.status_api import JOBS, FakePublisher, api_client


@pytest.fixture
async def api(engine):
    async with api_client(engine) as api:
        yield api


async def finish(engine):
    """Every due job finishes as the service does it."""
    positions, publisher, at = Positions(), FakePublisher(), TopicPartition(JOBS, 0)
    positions.assign([at])
    positions.place({at: 8})
    positions.observe_end(at, 8)
    await Finishing(engine, publisher, JOBS, positions, ChangeSignal()).send_due()
    await apply_events(engine, *publisher.sent)


async def test_every_result_file_is_what_the_receipt_says(api, engine, tmp_path):
    """Page by page, with names as cells of version 0.1.0 too; one changed sign shows."""
    job = JobHistory(total=30, batches=2)
    results = [(job.created, job.failed, job.unprocessed)[row % 3](row) for row in range(2, 32)]
    results[0] = results[0].model_copy(update={"cells": (), "columns": {"name": "Old", "Beds": "1", "address": "B"}})
    await apply_events(engine, job.accepted(), *results)
    await finish(engine)
    answer = await api.get("/jobs/job-1/receipt")
    receipt = Receipt.model_validate(answer.json())
    assert is_whole(receipt)
    assert answer.json() | {"round": 1, "created_hospitals": 10, "file_name": "hospitals.csv"} == answer.json()
    for name in ("successful", "failed", "unprocessed", "all"):
        path = tmp_path / f"{name}.csv"
        path.write_bytes((await api.get(f"/jobs/job-1/{name}.csv")).content)
        found = check(path, receipt)
        assert [each.same for each in found] == [True] * (3 if name == "all" else 1)
        rows = list(csv.reader(StringIO(path.read_text("utf-8"), newline="")))
        path.write_text(path.read_text("utf-8").replace(rows[1][0], rows[1][0] + "x", 1), "utf-8")
        assert not all(each.same for each in check(path, receipt))


async def test_a_job_that_runs_has_no_receipt_and_one_of_an_older_version_never(api, engine):
    """A receipt is of an end."""
    job = JobHistory(total=1)
    await apply_events(engine, job.accepted())
    running = await api.get("/jobs/job-1/receipt")
    await apply_events(engine, job.failed(2), job.finished(JobOutcome.NONE_CREATED))
    old = await api.get("/jobs/job-1/receipt")
    await apply_events(engine, job.retried(2))
    again = await api.get("/jobs/job-1/receipt")
    assert [(each.status_code, each.json()["error_type"]) for each in (running, old, again)] == [
        (409, "not_finished"),
        (409, "no_receipt"),
        (409, "not_finished"),
    ]
