"""What a file becomes on Kafka: at most four times its bytes, and a fixed number of bytes a row.

Nothing else bounds it than the limits of a file's bytes and rows, so this has to hold for every file.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.csv_file.validation import Rules
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.prepared_job import PreparedJob, bundles, prepare
from shared.contract.events import now
from tests.support.ingest.written_csv import CELLS, DIALECTS, FILLED_CELLS, csv_bytes, written

DRAFT = JobDraft(
    tenant="n" * 64,
    job_id="6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11",
    file_name="a.csv",
    file_sha256="ab" * 32,
    accepted_at=now(),
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    batch_rows=1_000,
    express_max_rows=1_000,
    partitions=6,
)
#: docs/limits.md tells people this number.
BYTES_A_ROW = 700
TIMES_THE_FILE = 4


def bytes_on_kafka(directory: Path, content: bytes) -> tuple[int, int]:
    """How many rows the file has, and the bytes of their keys, values and headers."""
    job = prepare(written(directory, content), Rules(1_000_000, allow_duplicates=True), DRAFT)
    assert isinstance(job, PreparedJob)
    rows = size = 0
    for bundle in bundles(job.records):
        for key, value in bundle.records:
            rows += 1
            size += len(key) + len(value) + sum(len(name) + len(text) for name, text in job.headers.of(key))
    return rows, size


@pytest.fixture(scope="module")
def shared_directory(tmp_path_factory):
    """One directory for all examples of a test."""
    return tmp_path_factory.mktemp("job")


ROWS = st.lists(st.tuples(FILLED_CELLS, FILLED_CELLS, st.lists(CELLS, max_size=5)), min_size=1, max_size=8)


@given(ROWS, DIALECTS)
@settings(max_examples=150)
def test_no_file_becomes_more_than_its_bytes_and_rows_allow(shared_directory, rows, dialect):
    """Whatever stands in it, and however short its rows are."""
    header = ["name", "address", *(f"{number} a long name of a column" for number in range(5))]
    content = csv_bytes([header, *([name, address, *more] for name, address, more in rows)], **dialect)

    found, size = bytes_on_kafka(shared_directory, content)

    assert found == len(rows)
    assert size <= TIMES_THE_FILE * len(content) + BYTES_A_ROW * len(rows)


@pytest.mark.parametrize(
    ("cells", "times"),
    [
        pytest.param(["\\" * 900, "\\" * 900], 4, id="backslashes: two bytes each, in the cell and in the name"),
        pytest.param(["x" * 900, "x" * 900], 2, id="a name and an address: once as cells, once as the directory's"),
        pytest.param(["a", "b", *[""] * 995, "c"], 3, id="an empty cell: two quotes and a comma"),
        pytest.param(["a", "b", *[""] * 996], 0, id="empty cells at the end: nothing"),
        pytest.param(["a", "b"], 0, id="a short row under a thousand long names"),
    ],
)
def test_what_grows_most_is_known(tmp_path, cells, times):
    """By the bytes of the rows alone: the header is in one record, that of the job."""
    header = ["name", "address", *(f"{number:03}" + "n" * 90 for number in range(996))]
    content = csv_bytes([header, *([f"{number}{cells[0]}", *cells[1:]] for number in range(50))])
    rows, size = bytes_on_kafka(tmp_path, content)

    grown = (size - BYTES_A_ROW * rows) / (len(content) - len(csv_bytes([header])))

    assert times - 0.8 < grown <= times or grown <= times == 0
