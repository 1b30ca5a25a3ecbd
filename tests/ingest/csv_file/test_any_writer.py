"""Whatever program wrote the file: what is read is what was written, or the file is refused."""

import csv
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.csv_file.encodings import python_encoding
from services.ingest.csv_file.header import HeaderRequest
from services.ingest.csv_file.known_columns import HospitalField
from services.ingest.csv_file.validation import FileAccepted, FileRejected, Rules, validate_file
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.prepared_job import PreparedJob, bundles, prepare
from tests.support.ingest.written_csv import CELLS, DIALECTS, csv_bytes, written

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HEADERS = st.sampled_from(
    [
        ("name", "address", "phone"),
        ("Hospital Name", "STREET ADDRESS", "Telephone"),
        ("Krankenhaus", "Anschrift", "Telefonnummer"),
        ("Établissement", "Adresse", "Téléphone"),
        ("Nome do hospital", "Endereço", "Telefone"),
        ("病院名", "所在地", "電話番号"),
        ("병원명", "주소", "전화번호"),
        ("医院名称", "地址", "电话"),
    ]
)
PHONES = st.sampled_from(["", "+1 (555) 010-0199", "0211/555 0204", "02-123-4567"])
ROWS = st.lists(st.tuples(CELLS, CELLS, PHONES, CELLS), min_size=1, max_size=6)
#: What may stand above the table: Excel's line, a title, blank lines.
ABOVE = st.sampled_from(["", "sep={}\r\n", "Our hospitals\r\n", "\r\n\r\n"])


@pytest.fixture(scope="module")
def shared_directory(tmp_path_factory):
    """One directory for all examples of a test."""
    return tmp_path_factory.mktemp("writers")


def sent(rows):
    """What the directory has to be told of them: blank rows are none."""
    return [(name.strip(), address.strip(), phone or None) for name, address, phone, note in rows
            if (name + address + phone + note).strip()]  # fmt: skip


def assert_read_or_refused(result, rows):
    """Never something else than what was written."""
    assert isinstance(result, FileAccepted | FileRejected)
    if isinstance(result, FileAccepted):
        assert result.total == len(sent(rows))
        assert [row[1:4] for row in result.reading.sample] == sent(rows)[:5]


@given(HEADERS, ROWS, st.permutations(range(4)), DIALECTS, ABOVE, st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
@settings(max_examples=200, deadline=None)
def test_any_order_language_and_dialect(shared_directory, header, rows, order, dialect, above, encoding):
    """With or without something above the header, in each encoding that needs no question."""
    table = [[(*header, "note")[at] for at in order], *([row[at] for at in order] for row in rows)]
    text = above.format(dialect["delimiter"]) + csv_bytes(table, **dialect).decode()
    path = written(shared_directory, text.encode(encoding))
    result = validate_file(path, Rules(100, allow_duplicates=True))
    assert_read_or_refused(result, rows)
    if isinstance(result, FileRejected):
        assert result.reading.header is not None, "the header is always found"
        assert {error.row is None for error in result.errors} == {not sent(rows)}, "only rows can be wrong"


@given(ROWS, st.sampled_from(["windows-1252", "iso-8859-15", "shift_jis", "euc-kr", "gb18030", "macintosh"]))
@settings(max_examples=100, deadline=None)
def test_an_encoding_that_the_request_names(shared_directory, rows, encoding):
    """What it cannot write is left out."""
    codec = python_encoding(encoding)
    kept = [tuple(cell.encode(codec, "ignore").decode(codec) for cell in row) for row in rows]
    path = written(shared_directory, csv_bytes([("name", "address", "phone", "note"), *kept]).decode().encode(codec))
    assert_read_or_refused(validate_file(path, Rules(100, allow_duplicates=True, encoding=codec)), kept)


@given(ROWS, st.permutations(["name", "address", "phone"]))
@settings(max_examples=60, deadline=None)
def test_a_mapping_goes_before_every_name(shared_directory, rows, names):
    """Also where the columns are called the wrong way round."""
    mapping = {field: (name,) for field, name in zip(HospitalField, names, strict=True)}
    path = written(shared_directory, csv_bytes([(*names, "note"), *rows], quoting=1))
    rules = Rules(100, allow_duplicates=True, header=HeaderRequest(mapping))
    assert_read_or_refused(validate_file(path, rules), rows)


#: What each program adds to or changes of Python's own writer.
PROGRAMS = {
    "pandas": {"index": True, "lineterminator": "\n"},
    "pandas without index": {"lineterminator": "\n"},
    "R": {"index": True, "quoting": csv.QUOTE_ALL, "lineterminator": "\n"},
    "Excel": {"encoding": "utf-8-sig"},
    "Excel in Germany": {"encoding": "utf-8-sig", "delimiter": ";"},
    "Excel with its own line": {"delimiter": ";", "above": "sep=;\r\n"},
    "Excel, Unicode text": {"encoding": "utf-16", "delimiter": "\t"},
    "LibreOffice, every text in quotes": {"quoting": csv.QUOTE_ALL, "lineterminator": "\n"},
    "Google Sheets": {},
    "a database": {"quoting": csv.QUOTE_NONNUMERIC, "lineterminator": "\n"},
    "a registry": {"above": "# exported today\r\n# do not edit\r\n"},
    "LibreOffice, spaces after commas": {"quoting": csv.QUOTE_ALL, "spaced": True},
}
#: Within a cell programs write this line end alone.
PLAIN_CELLS = CELLS.map(lambda cell: cell.replace("\r", "\n"))


def saved(program, table):
    """The table as the program saves it."""
    how = {"encoding": "utf-8", "above": "", "index": False, "spaced": False, **PROGRAMS[program]}
    encoding, above, index, spaced = (how.pop(name) for name in ("encoding", "above", "index", "spaced"))
    if index:
        table = [["" if number == 0 else str(number - 1), *row] for number, row in enumerate(table)]
    text = csv_bytes(table, **how).decode()
    if spaced:
        rows = (", ".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in table)
        text = "".join(f"{row}\r\n" for row in rows)
    return (above + text).encode(encoding)


def told(path, rules):
    """Each hospital as the events of its row tell the processors; None when the file is refused."""
    draft = JobDraft("t", "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11", "a.csv", "0" * 64, NOW, None, 100, 100, 3)
    job = prepare(path, rules, draft)
    if not isinstance(job, PreparedJob):
        return None
    events = [json.loads(record.value) for bundle in bundles(job.records) for record in bundle.records]
    return [(each["name"], each["address"], each["phone"]) for each in sorted(events, key=lambda each: each["row"])]


@given(
    st.sampled_from(sorted(PROGRAMS)),
    HEADERS,
    st.lists(st.tuples(PLAIN_CELLS, PLAIN_CELLS, PHONES, PLAIN_CELLS), min_size=1, max_size=6),
    st.permutations(range(4)),
)
@settings(max_examples=250, deadline=None)
def test_whatever_program_saved_it_the_directory_is_told_what_was_written(
    shared_directory, program, header, rows, order
):
    """To the last byte of each event, or the file is refused."""
    table = [[(*header, "note")[at] for at in order], *([row[at] for at in order] for row in rows)]
    found = told(written(shared_directory, saved(program, table)), Rules(100, allow_duplicates=True))
    assert found is None or found == sent(rows)


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_ordinary_list_of_each_program_is_taken(shared_directory, program):
    """Not refused: else the test above would show nothing."""
    rows = [("St. Mary, North", "1 Main Street\n2nd floor", "+1 (555) 010-0199", "a"), ('Süd; "Hope"', "Weg 2", "", "")]
    table = [["Hospital Name", "Anschrift", "Téléphone", "note"], *rows]
    found = told(written(shared_directory, saved(program, table)), Rules(100))
    assert found == sent(rows)
