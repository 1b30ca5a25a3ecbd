"""Whether a file can become a job: its event has to fit into a Kafka record."""

import pytest

from services.ingest.csv_file.validation import FileAccepted, FileRejected, Rules
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.job_validation import MAX_EVENT_BYTES, JobTooLarge, validate_job
from services.ingest.job_events.prepared_job import PreparedJob, prepare
from services.ingest.problems import unsuitable
from shared.contract.events import JobAccepted, JobFinished, JobOutcome, OutcomeRoots, now
from shared.contract.topics import MAX_MESSAGE_BYTES
from tests.support.ingest.written_csv import written

JOB_ID = "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11"


def draft(batch_rows: int, file_name: str = "a.csv") -> JobDraft:
    """A job that is not read yet."""
    return JobDraft("north", JOB_ID, file_name, "ab" * 32, now(), None, batch_rows, 1_000, 6)


def hospitals(rows: int) -> str:
    """A file of so many rows."""
    return "name,address\n" + "".join(f"a{number},b\n" for number in range(rows))


@pytest.mark.parametrize(("rows", "kind"), [(26_600, PreparedJob), (26_700, JobTooLarge)])
def test_a_job_of_too_many_batches_is_refused(tmp_path, rows, kind):
    """Its event would name them all. Nothing is encoded then."""
    result = prepare(written(tmp_path, hospitals(rows)), Rules(1_000_000), draft(1))

    assert isinstance(result, kind)
    if isinstance(result, PreparedJob):
        assert MAX_EVENT_BYTES - 5_000 < len(result.job_accepted_record().value) <= MAX_EVENT_BYTES
    else:
        assert result == JobTooLarge(rows, len("name" + "address"))
        assert [path.name for path in tmp_path.iterdir()] == ["upload.csv"]


def test_the_batches_of_duplicates_count(tmp_path):
    """Each needs one of its own."""
    path = written(tmp_path, "name,address\n" + "".join(f"a{number},b\n" * 900 for number in range(30)))

    result = validate_job(path, Rules(1_000_000, allow_duplicates=True), draft(1))

    assert isinstance(result, JobTooLarge)
    assert result.batches == 27_000


@pytest.mark.parametrize(("name", "kind"), [("notes", FileAccepted), ("n" * 20_000, JobTooLarge)])
def test_long_column_names_count(tmp_path, name, kind):
    """The event names them too."""
    rows = "".join(f"a{number},b,{'x' * 900}\n" for number in range(26_200))

    assert isinstance(validate_job(written(tmp_path, f"name,address,{name}\n{rows}"), Rules(1_000_000), draft(1)), kind)


def test_the_size_that_is_checked_is_that_of_the_event(tmp_path):
    """To the byte: 39 for each batch, and one comma less than there are batches."""
    path = written(tmp_path, hospitals(100))
    short = prepare(path, Rules(1_000), draft(1))
    assert isinstance(short, PreparedJob)
    spare = MAX_EVENT_BYTES - len(short.job_accepted_record().value)

    assert isinstance(validate_job(path, Rules(1_000), draft(1, "a.csv" + "x" * (spare - 1))), FileAccepted)
    assert isinstance(validate_job(path, Rules(1_000), draft(1, "a.csv" + "x" * (spare + 1))), JobTooLarge)


def test_what_fits_into_the_first_event_of_a_job_fits_into_its_last(tmp_path):
    """Which has the same batches, and counts in place of columns."""
    ids = [JOB_ID] * 26_500
    common = {"tenant": "n" * 64, "job_id": JOB_ID, "batch_ids": tuple(ids), "total_hospitals": 1_000_000}
    first = JobAccepted(**common, file_name="a", file_sha256="ab" * 32, columns=("name", "address"))
    counts = dict.fromkeys(("created_hospitals", "failed_hospitals", "unprocessed_hospitals"), 1_000_000)
    last = JobFinished(
        **common,
        **counts,
        outcome=JobOutcome.NONE_CREATED,
        outcomes_sha256="ab" * 32,
        round=1_000_000_000,
        outcomes_root="ab" * 32,
        outcome_roots=OutcomeRoots(created="ab" * 32, failed="ab" * 32, unprocessed="ab" * 32),
    )

    longer = len(last.model_dump_json()) - len(first.model_dump_json())

    assert longer < (MAX_MESSAGE_BYTES - MAX_EVENT_BYTES) / 8


def test_a_bad_row_is_refused_as_before(tmp_path):
    """With its row."""
    assert isinstance(validate_job(written(tmp_path, "name,address\n,b\n"), Rules(10), draft(1)), FileRejected)


def test_what_is_too_large_is_413_with_what_to_do():
    """In words for the person who has the file."""
    problem = unsuitable(JobTooLarge(26_700, 11))

    assert (problem.status, problem.error_type) == (413, "job_too_large")
    assert "26,700 batches, with column names of 11 bytes" in problem.detail
