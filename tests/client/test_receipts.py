"""`receipt` and `verify`: a result file that was changed in any way is not what its job finished with."""

import csv
import json
from io import StringIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.exit_status import ExitStatus
from client.files.result_check import check
from client.schemas import Receipt
from services.status.result_files.result_cells import ResultCells
from services.status.result_files.result_csv import ResultCsv
from shared.contract.outcomes_tree import OutcomesTree, outcomes_root
from tests.client.fake_service import JOB_ID, problem
from tests.support.status.stored_rows import stored

COLUMNS = ("name", "address", "phone")
ROWS = [
    (2, "created", "17", ["Mercy", "2 Main Street", "0211 555"]),
    (3, "failed", None, ["St. Mary", '1 "Long" Street']),
    (4, "created", '"=h-4"', ["Süd, Klinik", "Ring\n8"]),
    (5, "created", "19", ["=1+1", "3 Road", ""]),
    (6, "unprocessed", None, ["Nord", "4 Road", "555"]),
]


def receipt_of(rows):
    """As the service answers it."""
    tree = OutcomesTree()
    for row, status, hospital_id, cells in rows:
        tree.add(row, status, None if hospital_id is None else json.loads(hospital_id), cells)
    roots = tree.roots()
    return {
        "job_id": JOB_ID,
        "round": 1,
        "outcomes_root": outcomes_root(roots),
        "outcome_roots": roots.model_dump(),
        "told_by_a_newer_service": True,
    }


def result_file(rows, delimiter=",", activated=("b-1",)):
    """As the service writes it."""
    made = ResultCsv(ResultCells(JOB_ID, COLUMNS, activated), delimiter, marked=True)
    records = [
        stored(cells, row=row, status=status, hospital_id=hospital_id) for row, status, hospital_id, cells in rows
    ]
    return made.header() + made.rows(records) + made.end()


@pytest.fixture
def files(tmp_path):
    """A receipt and a file for each outcome."""
    (tmp_path / "receipt.json").write_text(json.dumps(receipt_of(ROWS)))
    for status in ("created", "failed"):
        (tmp_path / f"{status}.csv").write_bytes(result_file([row for row in ROWS if row[1] == status], ";"))
    (tmp_path / "all.csv").write_bytes(result_file(ROWS, activated=()))
    return tmp_path


def changed(path, change):
    """The file with its rows changed."""
    header, *rows = csv.reader(StringIO(path.read_text("utf-8-sig"), newline=""), delimiter=";")
    text = StringIO(newline="")
    csv.writer(text, delimiter=";").writerows([header, *change(rows)])
    path.write_text(text.getvalue(), "utf-8", newline="")


def test_the_files_of_a_job_are_what_it_finished_with(run, service, files):
    """Each alone, without asking anybody."""
    result = run("verify", files / "receipt.json", files / "created.csv", files / "failed.csv", files / "all.csv")
    assert result.exit_code == ExitStatus.DONE, result.stderr
    assert [line.split(": ")[1] for line in result.stdout.splitlines()] == [
        "3 created rows, as the job finished with them",
        "1 failed row, as the job finished with them",
        "3 created rows, as the job finished with them",
        "1 failed row, as the job finished with them",
        "1 unprocessed row, as the job finished with them",
    ]
    assert service.requests == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda rows: rows[:-1], id="a row left out"),
        pytest.param(lambda rows: [*rows, ["New", "5 Road", "", "9", "created", "20"]], id="a row added"),
        pytest.param(lambda rows: [[*rows[0][:2], "211 555", *rows[0][3:]], *rows[1:]], id="a zero lost"),
        pytest.param(lambda rows: [["Mercy ", *rows[0][1:]], *rows[1:]], id="a space added"),
        pytest.param(lambda rows: [[*rows[0][:5], "18", *rows[0][6:]], *rows[1:]], id="another hospital"),
        pytest.param(lambda rows: [[*each[:4], "failed", *each[5:]] for each in rows], id="another outcome"),
        pytest.param(lambda rows: [[*each[:3], str(int(each[3]) + 1), *each[4:]] for each in rows], id="other rows"),
    ],
)
def test_whatever_is_changed_shows(run, files, change):
    """And is said of the file."""
    changed(files / "created.csv", change)
    result = run("verify", files / "receipt.json", files / "created.csv")
    assert result.exit_code == ExitStatus.DIFFERENT
    assert "NOT as the job finished with them" in result.stderr


@pytest.mark.parametrize("gone", ["created", "failed", "unprocessed"])
def test_an_outcome_that_is_gone_from_a_whole_job_shows(run, files, gone):
    """All rows of it, where the file has several outcomes."""
    (files / "all.csv").write_bytes(result_file([row for row in ROWS if row[1] != gone]))
    result = run("verify", files / "receipt.json", files / "all.csv")
    assert result.exit_code == ExitStatus.DIFFERENT
    assert f"0 {gone} rows, NOT as the job finished with them" in result.stderr


def test_an_outcome_that_the_job_does_not_have_is_not_missed(run, files):
    """Its tree is empty."""
    some = [row for row in ROWS if row[1] != "unprocessed"]
    (files / "receipt.json").write_text(json.dumps(receipt_of(some)))
    (files / "all.csv").write_bytes(result_file(some))
    assert run("verify", files / "receipt.json", files / "all.csv").exit_code == ExitStatus.DONE


def test_sorting_and_correcting_ours_changes_nothing(run, files):
    """What is proved are the uploaded cells and what became of them, not our words about it."""
    changed(files / "created.csv", lambda rows: [[*each[:-1], "some words"] for each in reversed(rows)])
    assert run("verify", files / "receipt.json", files / "created.csv").exit_code == ExitStatus.DONE


def test_a_receipt_that_was_changed_proves_nothing(run, files):
    """Its hashes depend on each other."""
    known = receipt_of(ROWS)
    known["outcome_roots"]["created"] = "0" * 64
    (files / "receipt.json").write_text(json.dumps(known))
    result = run("verify", files / "receipt.json", files / "failed.csv")
    assert result.exit_code == ExitStatus.DIFFERENT
    assert "The receipt was changed" in result.stderr


def test_the_service_is_asked_when_a_job_is_named(run, service, files):
    """With a receipt as it is now; and `receipt` keeps it."""
    service.respond("GET", f"/jobs/{JOB_ID}/receipt", receipt_of(ROWS))
    assert run("verify", JOB_ID, files / "created.csv").exit_code == ExitStatus.DONE
    kept = files / "kept.json"
    assert run("receipt", JOB_ID, "-o", kept).exit_code == ExitStatus.DONE
    assert json.loads(kept.read_text()) == receipt_of(ROWS)
    assert json.loads(run("receipt", JOB_ID).stdout) == receipt_of(ROWS)
    assert run("verify", kept, files / "created.csv", "--json").exit_code == ExitStatus.DONE


def test_a_job_without_a_receipt_says_so(run, service, files):
    """In the service's words."""
    service.respond("GET", f"/jobs/{JOB_ID}/receipt", problem(409, "not_finished", "The job has not finished."))
    result = run("verify", JOB_ID, files / "created.csv")
    assert (result.exit_code, "has not finished" in result.stderr) == (ExitStatus.REFUSED, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name,address\nA,B\n", "only a result file"),
        (b"", "only a result file"),
        (b"\xff\xfe\x00", "no CSV file in UTF-8"),
        (result_file([]), "it holds no rows"),
        (result_file([ROWS[0], ROWS[0]]), "twice"),
        (b"name,result_row,result_status,result_hospital_id\nA,x,created,1\n", "which is no row"),
    ],
)
def test_what_cannot_be_checked_is_named(run, files, content, words):
    """One line a file; the other files are checked all the same."""
    (files / "odd.csv").write_bytes(content)
    result = run("verify", files / "receipt.json", files / "odd.csv", files / "failed.csv")
    assert result.exit_code == ExitStatus.DIFFERENT
    assert words in result.stderr
    assert "failed row, as the job finished" in result.stdout


def test_what_is_no_receipt_is_said_in_one_line(run, files):
    """A mix-up of the two arguments is the usual reason."""
    result = run("verify", files / "created.csv", files / "created.csv")
    assert (result.exit_code, "is no receipt" in result.stderr) == (ExitStatus.USAGE, True)


_CELLS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["created", "failed", "unprocessed"]), st.integers(1, 99) | _CELLS, _CELLS, _CELLS),
        min_size=1,
        max_size=9,
    ),
    st.sampled_from(",;\t"),
)
def test_any_file_of_the_service_is_what_its_receipt_says(tmp_path, outcomes, delimiter):
    """The service and this command make the same tree, each in its own way."""
    rows = [
        (row, status, json.dumps(hospital_id) if status == "created" else None, [name, address])
        for row, (status, hospital_id, name, address) in enumerate(outcomes, 2)
        # Such ids look as if we had guarded them.
        if not (isinstance(hospital_id, str) and hospital_id.startswith("'"))
    ]
    path = tmp_path / "all.csv"
    path.write_bytes(result_file(rows, delimiter))
    assert all(found.same for found in check(path, Receipt.model_validate(receipt_of(rows))))
