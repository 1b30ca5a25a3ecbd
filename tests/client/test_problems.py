"""What is wrong with a file: grouped by kind, truly counted, and whole in a file of its own."""

import csv

import pytest

from client.exit_status import ExitStatus
from client.files import problem_list
from client.output import problem_words
from client.schemas import RowProblem
from services.ingest.csv_file import problem_file
from tests.client.fake_service import Answer, problem, read


def errors(code, message, rows, column="phone", value=None):
    return [
        {
            "row": row,
            "column": column,
            "code": code,
            "message": message.format(row),
            "value": value and value.format(row),
        }
        for row in rows
    ]


def grouped(found, total=None):
    return problem_words.grouped([RowProblem(**each) for each in found], total or len(found))


def test_alike_errors_are_one_line_and_their_first_rows():
    """However many there are."""
    found = errors("missing_country", "The phone is missing its country.", range(2, 314))
    assert grouped(found) == [
        "312 rows, phone: The phone is missing its country.",
        "  rows 2, 3, 4, 5, 6 and 307 more",
    ]


def test_errors_of_a_kind_that_name_their_cells_show_the_first_and_the_cells_of_others():
    """The words differ only in the cell."""
    found = errors("shortened_phone", "'{}E+09' was shortened.", [2, 3, 9], value="{}E+09")
    assert grouped(found) == [
        "3 rows, such as row 2, phone: '2E+09' was shortened.",
        "  also row 3 (3E+09), row 9 (9E+09)",
    ]


def test_columns_of_a_kind_are_together():
    """All stand in the row of the header; the option that helps is named once."""
    found = [
        {"row": 1, "column": name, "code": "unused_column", "message": f"The column {name!r} is not sent."}
        for name in ("CITY", "STATE")
    ]
    assert grouped(found) == [
        "2 columns, such as row 1, CITY: The column 'CITY' is not sent.",
        "  also row 1, STATE",
        "Option: --map FIELD=COLUMN, once for each column of the field, sends it too.",
    ]


def test_kinds_stay_apart():
    """By code and field, in the order of the file."""
    found = errors("missing_value", "The name is missing.", [7], "name") + errors(
        "missing_value", "It is.", [8], "address"
    )
    assert grouped(found) == ["row 7, name: The name is missing.", "row 8, address: It is."]


def test_the_number_of_errors_is_the_true_one(run, service, file):
    """More than are listed."""
    listed = errors("missing_value", "The name is missing.", range(2, 1_002), "name")
    service.respond("POST", "/validate", read(valid=False, errors=listed, errors_total=50_000))
    result = run("upload", file)
    assert result.exit_code == ExitStatus.REFUSED
    assert result.stderr.splitlines()[-4:] == [
        "The file has 50,000 errors; nothing was sent.",
        "1,000 rows, name: The name is missing.",
        "  rows 2, 3, 4, 5, 6 and 995 more",
        "49,000 more are not listed here; --errors FILE writes them all.",
    ]


def test_the_whole_list_can_be_written(run, service, file, tmp_path):
    """For a spreadsheet: with its mark, and no cell that it would run. By each of the commands."""
    found = [
        *errors("invalid_phone", "No phone.", [2], value="=HYPERLINK(1)"),
        *errors("shortened_phone", "Shortened.", range(3, 300), value="+49 1{}"),
    ]
    warning = errors("footer", "Looks like a footer.", [300], "name", "Total")
    both = {"errors": found, "warnings": warning, "warnings_total": 1}
    service.respond("POST", "/validate", read(valid=False, errors_total=298, **both))
    service.respond("POST", "/bulk", problem(400, "invalid_file", "It has 298 errors.", errors=found, errors_total=298))
    target = tmp_path / "errors.csv"
    for words, amount in ((["validate"], 299), (["upload", "--yes"], 299), (["upload", "--yes", "--quiet"], 298)):
        target.unlink(missing_ok=True)
        assert run(*words, file, "--errors", target).exit_code == ExitStatus.REFUSED
        content = target.read_bytes().decode("utf-8-sig")
        assert content.encode("utf-8-sig") == target.read_bytes()
        head, *rows = csv.reader(content.splitlines())
        assert head == ["file", "row", "column", "kind", "code", "message", "value"]
        assert len(rows) == amount
        assert ["hospitals.csv", "2", "phone", "error", "invalid_phone", "No phone.", "'=HYPERLINK(1)"] in rows
        assert ["hospitals.csv", "3", "phone", "error", "shortened_phone", "Shortened.", "+49 13"] in rows


LIST = "\ufeffrow,column,kind,code,message,value\r\n" + "".join(
    f"{row},phone,error,invalid_phone,No phone.,'=1\r\n" for row in range(2, 50_002)
)


@pytest.mark.parametrize("words", [["validate"], ["upload"], ["upload", "--yes"], ["upload", "--yes", "--quiet"]])
def test_errors_that_are_not_listed_are_fetched(run, service, file, tmp_path, words):
    """All 50,000 of them, with the parameters of the command; nothing is fetched when nobody wants them."""
    found = {"errors": errors("invalid_phone", "No phone.", range(2, 1_002)), "errors_total": 50_000}
    refused = [read(valid=False, **found)] * (words[-1] != "--quiet")
    service.respond("POST", "/validate", *refused, Answer(200, LIST, {"Content-Type": "text/csv; charset=utf-8"}))
    service.respond("POST", "/bulk", problem(400, "invalid_file", "It has 50,000 errors.", **found))
    target = tmp_path / "errors.csv"
    result = run(*words, file, "--allow-duplicates", "--errors", target)
    assert result.exit_code == ExitStatus.REFUSED
    head, *lines = csv.reader(target.read_text("utf-8-sig").splitlines())
    assert head == ["file", "row", "column", "kind", "code", "message", "value"]
    assert len(lines) == 50_000
    assert lines[-1] == ["hospitals.csv", "50001", "phone", "error", "invalid_phone", "No phone.", "'=1"]
    fetched = service.calls("POST", "/validate")[-1]
    assert (fetched.headers["accept"], fetched.query) == ("text/csv", "allow_duplicates=true")
    service.respond("POST", "/validate", read(valid=False, **found))
    assert run("validate", file).exit_code == ExitStatus.REFUSED
    assert service.requests[-1].headers["accept"] == "application/json"


def test_an_older_service_gives_what_it_lists(run, service, file, tmp_path):
    """It answers JSON whatever is asked for."""
    found = errors("invalid_phone", "No phone.", range(2, 1_002))
    service.respond("POST", "/validate", read(valid=False, errors=found, errors_total=50_000))
    assert run("validate", file, "--errors", tmp_path / "errors.csv").exit_code == ExitStatus.REFUSED
    assert len((tmp_path / "errors.csv").read_text("utf-8-sig").splitlines()) == 1_001


def test_a_list_that_is_there_is_not_replaced_unasked(run, service, file, tmp_path):
    """Said before anything is checked."""
    target = tmp_path / "errors.csv"
    target.write_text("mine")
    service.respond("POST", "/validate", read())
    result = run("validate", file, "--errors", target)
    assert result.exit_code == ExitStatus.USAGE
    assert "is there already, and stays. --yes replaces it." in result.stderr
    assert (target.read_text(), service.requests) == ("mine", [])
    assert run("validate", file, "--errors", target, "--yes").exit_code == ExitStatus.DONE
    assert target.read_text(encoding="utf-8-sig").startswith("file,row")


@pytest.mark.parametrize("cell", ["=1", "@a", "\ta", "\na", "＝1", "＠a", "＋a", "－a", "+49 (211) 5", "+١", "a=1", ""])  # noqa: RUF001 - a spreadsheet takes them for signs
def test_cells_are_guarded_as_the_service_guards_them(cell):
    """Which of the two wrote a list makes no difference to a spreadsheet."""
    assert problem_list._guarded(cell) == problem_file._guarded(cell)
    assert problem_list._FORMULA == problem_file._FORMULA
