"""How many rows may fail: a number, or a share of the job's rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.csv_file.validation import FileAccepted, Rules
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.job_validation import job_accepted, validate_job
from services.ingest.job_events.max_failures import MaxFailures
from shared.contract.events import now
from tests.support.ingest.written_csv import written


@pytest.mark.parametrize(
    ("text", "rows"),
    [("0", 0), ("50", 50), ("0%", 0), ("5%", 4), ("5 %", 4), ("2.5%", 2), ("100%", 99), ("1.01%", 0), ("1.02%", 1)],
)
def test_a_share_is_of_the_rows_of_the_job_rounded_down(text, rows):
    """Here of 99 rows."""
    found = MaxFailures.parse(text)
    assert found is not None
    assert found.rows(99) == rows


@given(st.integers(0, 100_000), st.integers(1, 1_000_000))
def test_no_share_allows_more_than_that_share(thousandths, total):
    """Whatever the numbers are."""
    found = MaxFailures.parse(f"{thousandths / 1000:.3f}%")
    assert found is not None
    assert found.rows(total) * 100_000 <= thousandths * total < (found.rows(total) + 1) * 100_000


@pytest.mark.parametrize(("text", "rows"), [(None, None), ("0", 0), ("50%", 2)])
def test_the_event_of_the_job_has_the_number_of_rows(tmp_path, text, rows):
    """None when nobody asked for it."""
    max_failures = MaxFailures.parse(text) if text else None
    draft = JobDraft("north", "a job", "a.csv", "ab" * 32, now(), None, 10, 10, 6, max_failures)
    path = written(tmp_path, "name,address\n" + "".join(f"a{number},b\n" for number in range(5)))
    valid = validate_job(path, Rules(10), draft)
    assert isinstance(valid, FileAccepted)
    assert job_accepted(draft, valid, ()).max_failures == rows
