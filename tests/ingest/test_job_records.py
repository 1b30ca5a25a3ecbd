"""Records: what is sent is what was uploaded."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.inspection import FileRejected, Rules
from services.ingest.job_records import BUNDLE, JobDraft, PreparedJob, bundles, prepare
from shared.cloud_events import decode
from shared.events import RowAccepted, now
from shared.topics import MAX_MESSAGE_BYTES
from tests.ingest.written_csv import CELLS, FILLED_CELLS, csv_bytes, written

DRAFT = JobDraft(
    tenant="north",
    job_id="6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11",
    file_name="a.csv",
    file_sha256="ab" * 32,
    accepted_at=now(),
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    batch_rows=3,
    express_max_rows=5,
)


def job_of(directory: Path, content: bytes, *, allow_duplicates: bool = True) -> PreparedJob:
    """The job that this file becomes."""
    job = prepare(written(directory, content), Rules(10_000, allow_duplicates), DRAFT)
    assert isinstance(job, PreparedJob)
    return job


def rows_of(job: PreparedJob) -> list[RowAccepted]:
    """Every row event of a job, decoded as its readers do."""
    records = [record for bundle in bundles(job.records) for record in bundle]
    events = [decode(record.headers, record.value) for record in records]
    assert [record.key.decode() for record in records] == [event.key for event in events]
    return [event for event in events if isinstance(event, RowAccepted)]


@given(st.lists(st.tuples(FILLED_CELLS, FILLED_CELLS, CELLS), min_size=1, max_size=12))
@settings(max_examples=60)
def test_every_row_arrives_as_it_was_uploaded(shared_directory, rows):
    """In order, with its columns unchanged and its row number."""
    content = csv_bytes([("name", "address", "note"), *rows])

    events = rows_of(job_of(shared_directory, content))

    assert [tuple(event.columns.values()) for event in events] == rows
    assert [event.row for event in events] == list(range(2, len(rows) + 2))
    assert {(event.tenant, event.job_id, event.round) for event in events} == {("north", DRAFT.job_id, 1)}


@pytest.fixture(scope="module")
def shared_directory(tmp_path_factory):
    """One directory for all examples of a test."""
    return tmp_path_factory.mktemp("job")


def test_the_acceptance_describes_the_whole_job(tmp_path):
    """What result files and readiness of the rest are made from."""
    job = job_of(tmp_path, b"Name;address;ward\na;b;1\nc;d;2\nA;b;3\n")

    accepted = decode(job.acceptance().headers, job.acceptance().value)

    assert accepted == job.accepted
    assert job.accepted.total_hospitals == 3
    assert job.accepted.columns == ("Name", "address", "ward")
    assert job.accepted.delimiter == ";"
    assert job.accepted.batch_ids == tuple(dict.fromkeys(event.batch_id for event in rows_of(job)))
    assert len(job.accepted.batch_ids) == 2


@pytest.mark.parametrize(("rows", "express"), [(5, True), (6, False)])
def test_small_jobs_go_express(rows, express, tmp_path):
    """At most EXPRESS_MAX_ROWS."""
    content = "name,address\n" + "".join(f"a{number},b\n" for number in range(rows))

    assert job_of(tmp_path, content.encode()).accepted.express is express


def test_every_record_carries_the_upload_s_trace(tmp_path):
    """One trace from the upload to the directory."""
    job = job_of(tmp_path, b"name,address\na,b\n")

    records = [*next(bundles(job.records)), job.acceptance()]

    assert all(("traceparent", DRAFT.traceparent.encode()) in record.headers for record in records)


def test_records_are_bundled(tmp_path):
    """So that a million of them need little memory."""
    content = "name,address\n" + "".join(f"a{number},b\n" for number in range(BUNDLE + 1))

    assert [len(bundle) for bundle in bundles(job_of(tmp_path, content.encode()).records)] == [BUNDLE, 1]


def test_the_largest_row_fits_into_a_record(tmp_path):
    """Every column full of characters that take the most bytes."""
    columns = [f"column {number} {'🏥' * 980}" for number in range(90)]
    content = csv_bytes([["name", "address", "phone", *columns], ["🏥" * 999, "🏥" * 999, "5", *["🏥" * 999] * 90]])

    (record,) = next(bundles(job_of(tmp_path, content).records))

    assert 700_000 < len(record.value) < 0.9 * MAX_MESSAGE_BYTES


def test_a_rejected_file_leaves_no_records(tmp_path):
    """Nothing of it could be sent by mistake."""
    outcome = prepare(written(tmp_path, "name,address\n,b\n"), Rules(10), DRAFT)

    assert isinstance(outcome, FileRejected)
    assert [path.name for path in tmp_path.iterdir()] == ["upload.csv"]
