"""The page counts and reads the rows of a file as the service does, and writes them so that it reads them again."""

import csv
import io
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from services.ingest.csv_file.encodings import python_encoding
from services.ingest.csv_file.header import Header, find_header
from services.ingest.csv_file.records import Unreadable, records
from services.ingest.csv_file.text import text_file
from tests.page.fake_api import FakeApi

FILES = [
    "name,address\nA,B\nC,D\n",
    "name,address\r\nA,B\r\nC,D",
    "name,address\rA,B\rC,D\r",
    "\ufeffname;address\nA;B\n",
    "name\taddress\tphone\nA\tB\t\n\n\nC\tD\t1\n",
    '\n\nname,address\n"A, ward 1","B\nsecond line"\n"say ""yes""",D\n',
    'name,address\n"A","B\r\nsecond line"\r\n"",""\n,,,\nC,D\n',
    'name,address,"odd;name"\nA"quoted",B,C\n  \nD,E;F;G,H\n',
    'name;address\n"A,B,C,D,E";2\n',
    "name,address\n\N{HOSPITAL}\N{COMBINING ACUTE ACCENT},B\n",
    'sep=;\nname;address\nA;"B;\nC"\nD;E\n',
    'List of 2026\n"made, by us"\nname,address\nA,B\n',
    'name, address\n"A", "B, ward\n2"\nC, "D"\n',
    'name,address\n"A"x,"B\nC,D\nE,F\n',
    'name,address\nA,B\n"C,D\n',
    "\ufeff\ufeffname,\u200baddress\nA,B\n",
]

READ = """async ([texts, encoding]) => {
    const { openFile } = await import("/file/correctable_file.js");
    const wanted = new Set(Array.from({ length: 20 }, (_, index) => index + 1));
    const read = async ({ bytes, headerRow, delimiter }) => {
        const file = await openFile(new Blob([new Uint8Array(bytes)]), { encoding, delimiter, headerRow }, wanted);
        const rows = await Promise.all([...wanted].map(async row => [row, await file.cells(row)]));
        return { header: file.header, rows: rows.filter(([, cells]) => cells?.some(cell => cell.trim())) };
    };
    return Promise.all(texts.map(read));
}"""


def served(text: str, folder: Path) -> tuple[Header, list[list[object]]]:
    """How the service reads it: its header, and each row with its cells; None for one that is broken."""
    path = folder / "upload"
    path.write_bytes(text.encode())
    file = text_file(path)
    with file.open() as plain:
        header = find_header(plain, spaced=file.spaced)
        assert isinstance(header, Header)
        plain.seek(0)
        rows = records(plain, header.format)
        return header, [[row, None if isinstance(cells, Unreadable) else cells] for row, cells in rows]


def test_rows_have_the_number_that_the_service_gives_them(page: Page, api: FakeApi, tmp_path: Path) -> None:
    """Quotes, line breaks in fields, every line end, blank lines, each delimiter, titles, and signs of all kinds."""
    page.goto(f"{api.url}/favicon.svg")
    expected = [served(text, tmp_path) for text in FILES]
    asked = [
        {"bytes": list(text.encode()), "headerRow": header.row, "delimiter": header.delimiter}
        for text, (header, _) in zip(FILES, expected, strict=True)
    ]
    for text, read, (header, rows) in zip(FILES, page.evaluate(READ, [asked, "utf-8"]), expected, strict=True):
        assert read["header"] == [cell.strip() for cell in header.cells], text
        found = dict(read["rows"])
        for row, cells in rows:
            assert row in found, text
            if cells is not None and row != header.row:
                trimmed = [str(cell).strip() for cell in cells]
                assert [cell.strip() for cell in found.pop(row)] == trimmed, text


def test_the_delimiter_of_a_header_that_was_not_found_is_guessed(page: Page, api: FakeApi) -> None:
    """So that the columns can be chosen also when none of them has a name that we know."""
    page.goto(f"{api.url}/favicon.svg")
    texts = ["a;b,c;d\n1;2;3\n", "sep=|\na|b|c\n1|2|3\n", "a\tb\n", "Title\na,b\n"]
    rows = [1, 2, 1, 2]
    asked = [
        {"bytes": list(t.encode()), "headerRow": row, "delimiter": None} for t, row in zip(texts, rows, strict=True)
    ]
    headers = [read["header"] for read in page.evaluate(READ, [asked, "utf-8"])]
    assert headers == [["a", "b,c", "d"], ["a", "b", "c"], ["a", "b"], ["a", "b"]]


def test_every_encoding_of_the_service_is_read(page: Page, api: FakeApi) -> None:
    """By the names that the service gives them."""
    page.goto(f"{api.url}/favicon.svg")
    codecs = {
        "windows-1252": "\u00fc",
        "shift_jis": "\u75c5",
        "euc-kr": "\ubcd1",
        "gb18030": "\u533b",
        "big5": "\u91ab",
    }
    codecs |= {
        "macintosh": "\u00fc",
        "iso-8859-15": "\u20ac",
        "koi8-r": "\u0436",
        "windows-1257": "\u0161",
        "windows-874": "\u0e01",
    }
    codecs |= {"utf-16": "\u75c5", "utf-16-le": "\u75c5", "utf-16-be": "\u75c5", "windows-1253": "\u03b1"}
    for codec, sign in codecs.items():
        python = python_encoding(codec)
        assert python, codec
        asked = {"bytes": list(f"name,address\n{sign},B\n".encode(python)), "headerRow": 1, "delimiter": ","}
        [read] = page.evaluate(READ, [[asked], codec])
        assert read["rows"] == [[1, ["name", "address"]], [2, [sign, "B"]]], codec


def test_a_large_file_is_read_no_further_than_it_must(page: Page, api: FakeApi) -> None:
    """Piece by piece, and the rest is left alone."""
    page.goto(f"{api.url}/favicon.svg")
    read = """async () => {
        const { findSpans } = await import("/file/record_spans.js");
        let pulled = 0;
        const piece = new TextEncoder().encode("Good Hope,1 Hope Street\\n".repeat(1000));
        const stream = () => new ReadableStream({ pull(controller) { pulled += 1; controller.enqueue(piece); } });
        const spans = await findSpans({ stream }, ",", new Set([2500]));
        return [spans.get(2500), pulled];
    }"""
    span, pulled = page.evaluate(read)
    assert span == [24 * 2499, 24 * 2500 - 1]
    assert pulled < 10


CELLS = st.lists(st.text(st.sampled_from('ab ",;\t\r\n\u00e9\U0001f3e5'), max_size=6), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=CELLS, delimiter=st.sampled_from(",;\t"))
def test_what_is_corrected_is_read_as_it_was_typed(page: Page, api: FakeApi, cells: list[str], delimiter: str) -> None:
    """Whatever somebody types into a cell: the service and the page read the same cells again."""
    if page.url != f"{api.url}/favicon.svg":
        page.goto(f"{api.url}/favicon.svg")
    write = """async ([cells, delimiter]) => {
        const { cellsOf, recordOf } = await import("/file/cells.js");
        const record = recordOf(cells, delimiter);
        return [record, cellsOf(record, delimiter)];
    }"""
    record, again = page.evaluate(write, [cells, delimiter])
    assert again == cells
    [read] = csv.reader(io.StringIO(record, newline=""), delimiter=delimiter, strict=True) if record else [[""]]
    assert read == cells
