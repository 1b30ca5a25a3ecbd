"""A result file that comes back corrected says by itself which rows of which job it has again."""

from random import Random

import pytest

from services.ingest.csv_file.validation import FileAccepted, FileRejected, Rules
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.job_validation import JobTooLarge, job_accepted, validate_job
from services.ingest.problems import unsuitable
from shared.contract.events import now
from shared.contract.row_set import decode_rows
from tests.support.ingest.written_csv import read, written

JOB, OTHER = "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11", "7f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c22"
HEADER = "name,address,result_job_id,result_row,result_status"


def checked(directory, *rows, header=HEADER, **rules):
    """What the file is found to be."""
    text = "\n".join([header, *(f"Hospital {number},{row}" for number, row in enumerate(rows))])
    return read(written(directory, text + "\n"), Rules(1000, **rules))


def corrected(result):
    """The job, and its rows that are corrected; None when none is."""
    assert isinstance(result, FileAccepted), result
    return result.correction and (result.correction.job_id, list(decode_rows(result.correction.rows)))


def test_the_rows_of_a_failed_file_are_those_of_its_job(tmp_path):
    """A row that somebody has added, or whose cells are emptied, is a new one."""
    result = checked(
        tmp_path,
        f"b,{JOB},9,failed",
        f"c,{JOB.upper()}, 7 ,failed",
        "d,,,",
        f"e,{JOB},,",
        "f,,12,",
        f"g,{JOB},0,failed",
    )
    assert corrected(result) == (JOB, [7, 9])
    assert result.warnings_total == 0


def test_a_list_without_our_columns_corrects_nothing(tmp_path):
    """Nor does one whose cells are no job's."""
    assert corrected(checked(tmp_path, "b", header="name,address")) is None
    numbers = ("x", "0123456789", "0" * 4_400 + "1", "\u0661")
    assert (
        corrected(checked(tmp_path, "b,my job,9,failed", *(f"c,{JOB},{number},failed" for number in numbers))) is None
    )


def test_rows_that_were_created_are_no_correction(tmp_path):
    """Who allows them creates them once more: nothing was wrong with them."""
    rows = (f"b,{JOB},9,created", f"c,{JOB},7,created_and_activated")
    assert corrected(checked(tmp_path, *rows, repeat_created=True)) is None
    assert corrected(checked(tmp_path, *rows, f"d,{JOB},8,failed", repeat_created=True)) == (JOB, [8])


def test_rows_of_several_jobs_correct_none_and_that_is_said(tmp_path):
    """Once, with both jobs and what to do."""
    rows = (f"b,{JOB},9,failed", f"c,{OTHER},7,failed", f"d,{OTHER},8,failed")
    result = checked(tmp_path, *rows)
    assert corrected(result) is None
    (warning,) = result.warnings
    assert (warning.row, warning.column, warning.code, warning.value) == (3, "result_job_id", "several_jobs", OTHER)
    assert JOB in warning.message
    assert isinstance(checked(tmp_path, *rows, strict=True), FileRejected)


@pytest.mark.parametrize("wanted", [JOB, OTHER])
def test_the_request_can_name_the_one_that_is_meant(tmp_path, wanted):
    """Then its rows count, and nothing is warned of."""
    result = checked(tmp_path, f"b,{JOB},9,failed", f"c,{OTHER},7,failed", corrects=wanted)
    assert corrected(result) == (wanted, [9] if wanted == JOB else [7])
    assert result.warnings == []


def test_a_request_cannot_name_another_job_than_the_file(tmp_path):
    """An error that names both."""
    result = checked(tmp_path, f"b,{JOB},9,failed", "c,,,", corrects=OTHER)
    assert isinstance(result, FileRejected)
    (error,) = result.errors
    assert (error.row, error.column, error.code, error.value) == (2, "result_job_id", "other_job", JOB)
    assert OTHER in error.message


@pytest.mark.parametrize(
    ("header", "row", "rows"),
    [("name,address,result_row", "b,5", [5]), ("name,address", "b", []), (HEADER, "b,,,", []), (HEADER, "b,,6,", [6])],
)
def test_a_file_that_names_no_job_is_of_the_one_that_the_request_names(tmp_path, header, row, rows):
    """Such as a result file of version 0.1.0. Without rows the link alone is known."""
    assert corrected(checked(tmp_path, row, header=header, corrects=JOB)) == (JOB, rows)


def test_the_event_of_the_job_names_them_and_has_to_fit_into_a_record(tmp_path):
    """Rows at random take the most. With as many batches as fit without them it is too large."""
    rows = sorted(Random(1).sample(range(2, 1_000_000), 26_000))
    lines = [f"h{number},b,{JOB},{row}" for number, row in enumerate(rows)]
    result_file, other_file = (tmp_path / f"{column}.csv" for column in ("result_job_id", "note"))
    for file in (result_file, other_file):
        file.write_text("\n".join([f"name,address,{file.stem},result_row", *lines]))
    rules = Rules(30_000)
    valid = validate_job(result_file, rules, draft_of(1_000))
    plain, refused = (validate_job(file, rules, draft_of(1)) for file in (other_file, result_file))
    assert isinstance(valid, FileAccepted)
    event = job_accepted(draft_of(1_000), valid, ())
    assert (event.corrects, list(decode_rows(event.corrected_rows))) == (JOB, rows)
    assert isinstance(plain, FileAccepted)
    assert isinstance(refused, JobTooLarge)
    assert f"corrected rows of {len(event.corrected_rows):,} bytes" in unsuitable(refused).detail


def draft_of(batch_rows):
    """A job with so many rows in a batch."""
    return JobDraft("north", OTHER, "a.csv", "ab" * 32, now(), None, batch_rows, 10, 6)
