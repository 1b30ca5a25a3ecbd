"""The page counts the rows of a file as the service does."""

import io

from playwright.sync_api import Page

from services.ingest.csv_file.header import Header, find_header
from services.ingest.csv_file.records import records
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
    "name,address\n\N{HOSPITAL}\N{COMBINING ACUTE ACCENT},\u202eB\n",
]

READ = """async texts => {
    const { fileRows } = await import("/file_rows.js");
    const wanted = new Set(Array.from({ length: 20 }, (_, index) => index + 1));
    const read = async text => {
        const { header, rows } = await fileRows(new Blob([text]), wanted);
        return { header, rows: [...rows].filter(([, cells]) => cells.some(cell => cell.trim())) };
    };
    return Promise.all(texts.map(read));
}"""


def test_rows_have_the_number_that_the_service_gives_them(page: Page, api: FakeApi) -> None:
    """Quotes, line breaks in fields, every line end, blank lines, each delimiter, and signs of all kinds."""
    page.goto(f"{api.url}/favicon.svg")
    for text, read in zip(FILES, page.evaluate(READ, FILES), strict=True):
        plain = io.StringIO(text.removeprefix("\ufeff"), newline="")
        header = find_header(plain)
        assert isinstance(header, Header)
        plain.seek(0)
        expected = [[row, cells] for row, cells in records(plain, header.delimiter)]
        assert read["rows"] == expected, text
        assert read["header"] == dict(expected)[header.row]


def test_a_large_file_is_read_no_further_than_it_must(page: Page, api: FakeApi) -> None:
    """Piece by piece, and the rest is left alone."""
    page.goto(f"{api.url}/favicon.svg")
    read = """async () => {
        const { fileRows } = await import("/file_rows.js");
        let pulled = 0;
        const piece = new TextEncoder().encode("Good Hope,1 Hope Street\\n".repeat(1000));
        const stream = () => new ReadableStream({ pull(controller) { pulled += 1; controller.enqueue(piece); } });
        const slice = () => new Blob(["name,address\\n"]);
        const { rows } = await fileRows({ slice, stream }, new Set([2500]));
        return [rows.get(2500), pulled];
    }"""
    cells, pulled = page.evaluate(read)
    assert cells == ["Good Hope", "1 Hope Street"]
    assert pulled < 10


def test_a_record_without_end_ends_the_reading(page: Page, api: FakeApi) -> None:
    """A quote that is never closed swallows the file: the service stops there, and so does the page."""
    page.goto(f"{api.url}/favicon.svg")
    text = 'name,address\nA,B\n"C,D\n' + "E,F\n" * 60_000
    [read] = page.evaluate(READ, [text])
    assert [row for row, _ in read["rows"]] == [1, 2]
