# ruff: noqa: RUF001, E501 - letters of other scripts, and a table
"""The kinds of files that clerks really upload, each with how it is read, what is wrong, and what would be sent."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from services.ingest.csv_file.validation import FileAccepted, FileRejected, Rules
from tests.support.ingest.written_csv import read, written

N, A, P = "name", "address", "phone"


class Kind(NamedTuple):
    """A file. `found`: (row, code) of each error and warning; `sent`: hospitals as they would be sent."""

    what: str
    text: str
    found: Sequence[tuple[int | None, str]] = ()
    sent: list[tuple[int, str, str, str | None]] | None = None
    mapping: tuple[str, ...] = (N, A, P)
    encoding: str = "utf-8"


def _rows(*lines: str) -> str:
    return "name,address,phone\n" + "".join(f"{line}\n" for line in lines)


OK = [(2, "Mercy", "2 Main Street", "555-0102")]
RESULT = "name,address,result_status,result_hospital_id,result_error_code\n"
KINDS = [
    Kind("another name of the phone", "NAME,ADDRESS,TELEPHONE\nMercy,2 Main Street,555-0102\n", [], OK,
         ("NAME", "ADDRESS", "TELEPHONE")),
    Kind("a place beside the address", "name,address,CITY\na,b,c\n", [(1, "unused_column")], [(2, "a", "b", None)],
         (N, A)),
    Kind("remarks in the header", "Name *,Address (required),Phone No.\nMercy,2 Main Street,555-0102\n", [], OK,
         ("Name *", "Address (required)", "Phone No.")),
    Kind("a comma without quotes", _rows("Ospedale,Via Prova,12", "Ospedale C,\"Via Giusta, 56\",06 555 9703"),
         [(2, "shifted_row")]),
    Kind("a comma without quotes, four fields", _rows("Ospedale,Via Prova,12,06 555"), [(2, "too_many_fields")]),
    Kind("our own created rows", RESULT + "a,b,created,7,\nc,d,created_and_activated,8,\ne,f,failed,,rejected\n",
         [(2, "already_created"), (3, "already_created")], mapping=(N, A)),
    Kind("a row of unknown outcome", RESULT + "a,b,failed,,outcome_unknown\nc,d,failed,,rejected\n",
         [(2, "outcome_unknown")], mapping=(N, A)),
    Kind("columns of somebody else's that begin with result_", "name,address,result_of_audit\na,b,fine\n", [],
         [(2, "a", "b", None)], (N, A)),
    Kind("phones that a spreadsheet has shortened", "name;address;phone\na;b;5,5819E+12\nc;d;9.2E+09\n",
         [(2, "shortened_phone"), (3, "shortened_phone")]),
    Kind("a phone that is a number", _rows("Mercy,2 Main Street,25659.0"), [(2, "decimal_phone")],
         [(2, "Mercy", "2 Main Street", "25659.0")]),
    Kind("a space before each quote", 'name, "address", phone\nMercy, "2 Main, Town", 555-0102\n', [],
         [(2, "Mercy", "2 Main, Town", "555-0102")]),
    Kind("the header again", "name,address\nMercy,2 Main\nName,ADDRESS\nHope,3 Main\n", [(3, "repeated_header")],
         mapping=(N, A)),
    Kind("invisible signs", "\ufeffna\u200bme,address\u200e,phone\n\u200bMercy,2 Main\u2060 Street,555-\u00ad0102\n", [], OK),
    Kind("a cell of invisible signs", _rows("\u200b,b,"), [(2, "missing_value")]),
    Kind("an index of pandas", ",name,address,phone\n0,Mercy,2 Main Street,555-0102\n1,Hope,,\n",
         [(1, "unused_cells"), (3, "missing_value")]),
    Kind("Excel's line", "sep=;\r\nname;address;phone\r\nMercy;2 Main Street, East;555-0102\r\n", [],
         [(3, "Mercy", "2 Main Street, East", "555-0102")]),
    Kind("a preamble", "Report\n\nname,address,phone\nMercy,2 Main Street,555-0102\n", [],
         [(4, "Mercy", "2 Main Street", "555-0102")]),
    Kind("comments", "# by hand\n# exported, today\nname,address\na,b\n", [], [(4, "a", "b", None)], (N, A)),
    Kind("no header", "Mercy,2 Main Street,555-0102\nHope,3 Main,555\n", [(None, "no_header")], mapping=()),
    Kind("Windows-1252", "name,address\nCafé,b\n", [(None, "unknown_encoding")], mapping=(), encoding="cp1252"),
    Kind("only an unused column is not UTF-8", "name,address,note\na,b,café\n", [(None, "unknown_encoding")],
         mapping=(), encoding="cp1252"),
    Kind("UTF-16 of Excel", "\ufeffname\taddress\tphone\r\nMercy\t2 Main Street\t555-0102\r\n", [], OK,
         encoding="utf-16-le"),
    Kind("whole lines in quotes", '"name,address"\n"a,b"\n', [(None, "quoted_lines")], mapping=()),
    Kind("pipes", "name|address\na|b\n", [(None, "unknown_delimiter")], mapping=()),
    Kind("JSON", '[{"name": "a"}]\n', [(None, "json_document")], mapping=()),
    Kind("a web page", "<html><body>Please log in</body></html>\n", [(None, "html_page")], mapping=()),
    Kind("digits of other scripts", _rows("a,b,٠١٢٣٤٥", "a,b,٠١٢٣٤٦"), [],
         [(2, "a", "b", "012345"), (3, "a", "b", "012346")]),
    Kind("typographic quotes", "name,address\n“Mercy”,2 Main\n", [(2, "typographic_quotes")],
         [(2, "“Mercy”", "2 Main", None)], (N, A)),
    Kind("backslashes", 'name,address\nSt. \\"Mary\\",2 Main\n', [(2, "escaped_quotes")],
         [(2, 'St. \\"Mary\\"', "2 Main", None)], (N, A)),
    Kind("placeholders", "name,address\na,NULL\nb,#REF!\nc,\\N\nd,n/a\n", [(row, "placeholder") for row in range(2, 6)],
         mapping=(N, A)),
    Kind("mojibake", "name,address\nHÃ´pital,a\nH\ufffdpital,b\nKlinik S?d,c\n", [(row, "mojibake") for row in (2, 3, 4)],
         mapping=(N, A)),
    Kind("a footer", "name,address\na,b\nTotal,1\n", [(3, "footer")], [(2, "a", "b", None), (3, "Total", "1", None)],
         (N, A)),
    Kind("a footer without an address", "name,address\na,b\nTotal,\n", [(3, "missing_value")], mapping=(N, A)),
    Kind("semicolons with commas in the header", "name (max 100, required);address (street, town)\na;b, c\n", [],
         [(2, "a", "b, c", None)], ("name (max 100, required)", "address (street, town)")),
    Kind("two phones", "name,address,Telephone,Mobile\na,b,1,2\n", [(1, "ambiguous_column")], mapping=()),
    Kind("two columns of one name", "name,address,phone,Phone\na,b,1,2\n", [(1, "duplicate_column")], mapping=()),
    Kind("long and odd cells that nobody uses", "name,address,note\na,b," + "x" * 1001 + "\nc,d,\x01\n",
         [(2, "unused_cells")], [(2, "a", "b", None), (3, "c", "d", None)], (N, A)),
    Kind("a vertical tab", "name,address\na,1 Road\x0bFloor 2\n", [(2, "control_character")], mapping=(N, A)),
    Kind("a formula that keeps zeros", _rows('a,b,"=""0211555"""'), [(2, "invalid_phone")]),
    Kind("quotes for inches", 'name,address\n"Unit 3" West",b\n', [(2, "broken_quotes")], mapping=(N, A)),
    Kind("letters in two forms", "name,address\nCaf\u00e9,b\nCafe\u0301,b\n", [(3, "duplicate_row")], mapping=(N, A)),
    Kind("only a header", "name,address\n", [(None, "no_rows")], mapping=(N, A)),
    Kind("nothing", "", [(None, "empty_file")], mapping=()),
]  # fmt: skip


def read_kind(kind: Kind, directory: Any, **rules: Any) -> FileAccepted | FileRejected:
    """How the file is read."""
    result = read(written(directory, kind.text.encode(kind.encoding)), Rules(1000, **rules))
    assert isinstance(result, FileAccepted | FileRejected)
    return result


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.what)
def test_each_kind_is_read_right_or_told_what_is_wrong(kind, tmp_path):
    """Its mapping, its errors and warnings, and the hospitals that the directory would be told."""
    result = read_kind(kind, tmp_path)
    errors = result.errors if isinstance(result, FileRejected) else []
    assert sorted((each.row or 0, each.code) for each in [*errors, *result.warnings]) == sorted(
        (row or 0, code) for row, code in kind.found
    )
    header = result.reading.header if result.reading else None
    mapping = (
        [header.cells[at] for at in (*header.mapping.name, *header.mapping.address, *header.mapping.phone)]
        if header
        else []
    )
    assert [name.strip("\u200b\u200e") for name in mapping] == list(kind.mapping)
    if kind.sent is not None:
        assert isinstance(result, FileAccepted)
        assert [row[:4] for row in result.reading.sample] == kind.sent


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.what)
def test_no_message_speaks_of_bytes_or_escapes(kind, tmp_path):
    """A clerk reads them."""
    result = read_kind(kind, tmp_path)
    for problem in [*(result.errors if isinstance(result, FileRejected) else []), *result.warnings]:
        assert "\\x" not in problem.message
        assert "\\u" not in problem.message
        assert "byte" not in problem.message


def test_created_rows_are_taken_when_they_are_meant(tmp_path):
    """Each once more."""
    kind = next(kind for kind in KINDS if kind.what == "our own created rows")
    assert read_kind(kind, tmp_path, repeat_created=True).total == 3


def test_every_warning_is_an_error_when_strict(tmp_path):
    """And none is lost."""
    for kind in KINDS:
        lax, strict = read_kind(kind, tmp_path), read_kind(kind, tmp_path, strict=True)
        if lax.warnings_total:
            assert isinstance(strict, FileRejected)
            assert strict.errors_total >= lax.warnings_total
            assert strict.warnings_total == 0
