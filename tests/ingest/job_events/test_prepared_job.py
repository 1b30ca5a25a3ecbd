"""Records: what is sent is what was uploaded."""

from pathlib import Path

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.csv_file.header import HeaderRequest
from services.ingest.csv_file.known_columns import HospitalField
from services.ingest.csv_file.validation import FileRejected, Rules
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.job_validation import MAX_EVENT_BYTES
from services.ingest.job_events.prepared_job import BUNDLE_BYTES, PreparedJob, bundles, prepare
from services.ingest.job_events.row_partitioner import RowPartitioner
from shared.contract.cloud_events import EventRecord, decode, encode
from shared.contract.events import FieldColumns, RowAccepted, now
from shared.contract.hospital_columns import Hospital, hospital_at
from tests.support.ingest.written_csv import CELLS, FILLED_CELLS, csv_bytes, written

DRAFT = JobDraft(
    tenant="north",
    job_id="6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11",
    file_name="a.csv",
    file_sha256="ab" * 32,
    accepted_at=now(),
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    batch_rows=3,
    express_max_rows=5,
    partitions=6,
)


def job_of(directory: Path, content: bytes, *, allow_duplicates: bool = True) -> PreparedJob:
    """The job that this file becomes."""
    job = prepare(written(directory, content), Rules(10_000, allow_duplicates), DRAFT)
    assert isinstance(job, PreparedJob)
    return job


def records_of(job: PreparedJob) -> list[EventRecord]:
    """Every row's record as it will be sent, in the file's order. Asserts that each is in its key's partition."""
    found = []
    partitions = list(range(DRAFT.partitions))
    for bundle in bundles(job.records):
        for key, value in bundle.records:
            assert bundle.partition == DefaultPartitioner()(key, partitions, partitions)
            found.append(EventRecord(key, value, job.headers.of(key)))
    return sorted(found, key=lambda record: int(record.key.rpartition(b":")[2]))


def rows_of(job: PreparedJob) -> list[RowAccepted]:
    """Every row event of a job, decoded as its readers do."""
    events = [decode(record.headers, record.value) for record in records_of(job)]
    return [event for event in events if isinstance(event, RowAccepted)]


@given(st.lists(st.tuples(FILLED_CELLS, FILLED_CELLS, CELLS), min_size=1, max_size=12))
@settings(max_examples=60)
def test_every_row_arrives_as_it_was_uploaded(shared_directory, rows):
    """In order, with its cells unchanged and its row number; `name` and `address` as the directory is told them."""
    content = csv_bytes([("name", "address", "note"), *rows])

    events = rows_of(job_of(shared_directory, content))

    assert [event.cells for event in events] == [row if row[2] else row[:2] for row in rows]
    assert [(event.name, event.address) for event in events] == [
        (name.strip(), address.strip()) for name, address, _ in rows
    ]
    assert [event.row for event in events] == list(range(2, len(rows) + 2))
    assert {(event.tenant, event.job_id, event.round) for event in events} == {("north", DRAFT.job_id, 1)}


@given(
    st.lists(st.tuples(FILLED_CELLS, FILLED_CELLS, st.sampled_from(["", "5550101", "+1 (555) 0"]), CELLS), min_size=1)
)
@settings(max_examples=60)
def test_records_are_what_the_events_are_encoded_to(shared_directory, rows):
    """Byte for byte, headers and all: the short way writes nothing that the long way would not."""
    job = job_of(shared_directory, csv_bytes([("name", "address", "phone", 'odd %s "header"'), *rows]))

    for record in records_of(job):
        event = decode(record.headers, record.value)
        assert record == encode(event, "ingest", DRAFT.traceparent)


@given(st.integers(2, 10**7), st.integers(1, 60), st.text("abc-:.", max_size=40))
def test_rows_go_where_kafka_s_rule_leads_them(row, partitions, job_id):
    """Whatever the job's id looks like, and however many partitions there are."""
    prefix, every = f"{job_id}:".encode(), list(range(partitions))
    key = prefix + str(row).encode()

    assert RowPartitioner(prefix, partitions).partition_of(key) == DefaultPartitioner()(key, every, every)


@pytest.fixture(scope="module")
def shared_directory(tmp_path_factory):
    """One directory for all examples of a test."""
    return tmp_path_factory.mktemp("job")


def test_the_acceptance_describes_the_whole_job(tmp_path):
    """What result files and readiness of the rest are made from."""
    job = job_of(tmp_path, b"Name;address;ward\na;b;1\nc;d;2\nA;b;3\n")

    accepted = decode(job.job_accepted_record().headers, job.job_accepted_record().value)

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

    records = [*records_of(job), job.job_accepted_record()]

    assert all(("traceparent", DRAFT.traceparent.encode()) in record.headers for record in records)


@pytest.mark.parametrize("note", ["", "x" * 900])
def test_records_are_bundled_by_their_bytes(tmp_path, note):
    """So that a million of them need little memory, and each bundle makes a batch of Kafka's."""
    content = "name,address,note\n" + "".join(f"a{number},b,{note}\n" for number in range(4_000))

    found = list(bundles(job_of(tmp_path, content.encode()).records))

    sizes = [sum(len(record.value) for record in bundle.records) for bundle in found]
    assert {bundle.partition for bundle in found} == set(range(DRAFT.partitions))
    assert max(sizes) <= BUNDLE_BYTES
    assert sum(size > 0.95 * BUNDLE_BYTES for size in sizes) >= len(found) - DRAFT.partitions


@pytest.mark.parametrize(("sign", "least"), [("🏥", 390_000), ('"', 90_000), ("\\", 190_000)])
def test_the_largest_row_fits_into_a_record(tmp_path, sign, least):
    """Cells as long as a file's may be, of the characters that take the most bytes in an event."""
    length = 490 if sign == '"' else 980
    names = ["name", "address", *map(str, range(98))]

    (record,) = records_of(job_of(tmp_path, csv_bytes([names, [sign * length] * 100])))

    assert least < len(record.value) < MAX_EVENT_BYTES / 2


def test_the_longest_column_names_fit_into_the_job_s_record(tmp_path):
    """Names may have control characters, which take six bytes each. Only this one record has the names."""
    names = ["name", "address", *(f"{number:03}" + "\x01" * 980 for number in range(98))]

    job = job_of(tmp_path, csv_bytes([names, ["a", "b"]]))

    assert 550_000 < len(job.job_accepted_record().value) < MAX_EVENT_BYTES
    assert len(records_of(job)[0].value) < 300


def test_a_rejected_file_leaves_no_records(tmp_path):
    """Nothing of it could be sent by mistake."""
    outcome = prepare(written(tmp_path, "name,address\n,b\n"), Rules(10), DRAFT)

    assert isinstance(outcome, FileRejected)
    assert [path.name for path in tmp_path.iterdir()] == ["upload.csv"]


def test_the_job_says_which_columns_made_the_hospitals(tmp_path):
    """By their places in its columns, which are not those of the file: ours and those without a name are left out."""
    content = b"result_row,City,,Facility,Street,Ruf\n2,Town,x,Mercy,1 Main,555-0101\n"
    mapping = {HospitalField.ADDRESS: ("Street", "City"), HospitalField.PHONE: ("Ruf",)}
    job = prepare(written(tmp_path, content), Rules(10, header=HeaderRequest(mapping)), DRAFT)
    assert isinstance(job, PreparedJob)
    (row,) = rows_of(job)
    assert job.accepted.columns == ("City", "Facility", "Street", "Ruf")
    assert job.accepted.fields == FieldColumns(name=(1,), address=(2, 0), phone=(3,))
    assert hospital_at(job.accepted.fields, row.cells) == Hospital(row.name, row.address, row.phone)
    assert row.address == "1 Main, Town"
