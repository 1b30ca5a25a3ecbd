"""Workbooks that nobody's spreadsheet would write, or only an enemy's, each with the answer that it must get."""

import io
import struct
import zipfile
from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

from tests.support.ingest.compound_files import compound_file, encrypted_xlsx, xls
from tests.support.ingest.workbooks import bomb, ods, with_cell, with_empty_rows, with_parts, xlsx


class NastyBook(NamedTuple):
    """A workbook by what is nasty about it. `words`: in one of the messages of the answer."""

    what: str
    content: bytes
    #: The status of the answer, and for 200 the code of an error; empty: it is read.
    answer: str
    words: str = ""
    #: Whether it takes a second of time of the CPU or more.
    is_slow: bool = False


_SHEET: Final = "xl/worksheets/sheet1.xml"
_STRINGS: Final = "xl/sharedStrings.xml"
_BOOK: Final = "xl/workbook.xml"
_TABLE: Final = [["name", "address", "phone"], ["Mercy", "2 Main Street", "555-0102"]]
GOOD: Final = xlsx({"List": _TABLE})
_HEADER: Final = (
    '<row r="1"><c r="A1" t="inlineStr"><is><t>name</t></is></c>'
    '<c r="B1" t="inlineStr"><is><t>address</t></is></c></row>'
)
_NAMESPACE: Final = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_LAUGHS: Final = '<!DOCTYPE x [<!ENTITY a0 "ha">' + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)
)


def _zipped(parts: Mapping[str, bytes | str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        for name, content in parts.items():
            book.writestr(name, content)
    return file.getvalue()


def _sheet(rows: str, above: str = "", doctype: str = "") -> bytes:
    """The workbook with this XML for its rows below the header."""
    data = f"<sheetData>{_HEADER}{rows}</sheetData>"
    return with_parts(
        GOOD, {_SHEET: f'<?xml version="1.0"?>{doctype}<worksheet {_NAMESPACE}>{above}{data}</worksheet>'}
    )


def _row(*cells: str, number: object = 2) -> str:
    letters = "ABCDEFG"
    return (
        f'<row r="{number}">'
        + "".join(
            cell
            if cell.startswith("<")
            else f'<c r="{letters[place]}{number}" t="inlineStr"><is><t>{cell}</t></is></c>'
            for place, cell in enumerate(cells)
        )
        + "</row>"
    )


def _changed(part: str, old: str, new: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as book:
        content = book.read(part).decode()
    assert old in content, (part, old)
    return with_parts(GOOD, {part: content.replace(old, new)})


def _flagged(bit: int) -> bytes:
    """Every part with this flag, in the archive's list and before the part."""
    content = bytearray(GOOD)
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = -1
        while (at := content.find(mark, at + 1)) >= 0:
            content[at + offset] |= bit
    return bytes(content)


def _ods_rows(row: str) -> bytes:
    """A workbook of LibreOffice whose second row is this XML."""
    with zipfile.ZipFile(io.BytesIO(ods(_TABLE))) as book:
        content = book.read("content.xml").decode()
    begin, *_, end = content.split("<table:table-row>")
    _, header, _ = content.split("<table:table-row>")
    after = end.partition("</table:table-row>")[2]
    return with_parts(ods(_TABLE), {"content.xml": f"{begin}<table:table-row>{header}{row}{after}"})


def _ods_cell(text: str, attributes: str = "") -> str:
    return f'<table:table-cell office:value-type="string" {attributes}><text:p>{text}</text:p></table:table-cell>'


def _repeated(times: object, cells: str) -> str:
    return f'<table:table-row table:number-rows-repeated="{times}">{cells}</table:table-row>'


_TWO: Final = _ods_cell("a") + _ods_cell("b")
_MANY: Final = _ods_cell("a", 'table:number-columns-repeated="16384"')
_EMPTY: Final = '<table:table-cell table:number-columns-repeated="16384"/>'
_ODS_PASSWORD: Final = (
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry '
    'manifest:full-path="content.xml" manifest:media-type="text/xml"><manifest:encryption-data/></manifest:file-entry>'
    "</manifest:manifest>"
)
_ARCHIVES: Final = [
    NastyBook("an empty archive", b"PK\x05\x06" + b"\0" * 18, "415"),
    NastyBook("an archive of a CSV", _zipped({"hospitals.csv": "name,address\na,b\n"}), "415"),
    NastyBook(
        "a text document", _zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": "<document/>"}), "415"
    ),
    NastyBook("a presentation", _zipped({"ppt/presentation.xml": "<presentation/>"}), "415"),
    NastyBook("cut off in the middle", GOOD[: len(GOOD) // 2], "415"),
    NastyBook("cut off before its list", GOOD[:-60], "415"),
    NastyBook("its first bytes only", GOOD[:4], "415"),
    NastyBook("its first bytes and noise", GOOD[:4] + b"\x5a" * 5_000, "415"),
    NastyBook(
        "with a wrong checksum", GOOD.replace(b"PK\x01\x02", b"PK\x01\x02", 1)[:14] + b"\xff\xff" + GOOD[16:], "200"
    ),
    NastyBook("encrypted parts", _flagged(1), "415"),
    NastyBook("100 MB of spaces", bomb(GOOD, 100), "200"),
    NastyBook("a bomb in a part that nobody reads", with_parts(GOOD, {"xl/media/a.bin": b"\0" * (20 << 20)}), "200"),
    NastyBook("a workbook in a workbook", with_parts(GOOD, {"xl/embeddings/a.xlsx": bomb(GOOD, 10)}), "200"),
    NastyBook(
        "too many parts",
        _zipped({"[Content_Types].xml": ""} | {f"xl/{number}.xml": "" for number in range(10_001)}),
        "413",
    ),
    NastyBook("bytes before the archive", b"PK\x03\x04" + b"junk" * 50 + GOOD, "200"),
]
_PARTS: Final = [
    NastyBook("no list of sheets", with_parts(GOOD, {_BOOK: None}), "200 empty_file"),
    NastyBook("a list of sheets that is no XML", with_parts(GOOD, {_BOOK: "\0\1\2 no"}), "415"),
    NastyBook("no sheet", with_parts(GOOD, {_SHEET: None}), "415"),
    NastyBook("an empty sheet part", with_parts(GOOD, {_SHEET: ""}), "415"),
    NastyBook("a sheet that is no XML", with_parts(GOOD, {_SHEET: b"\xff\xfe" * 500}), "415"),
    NastyBook(
        "a sheet that breaks off",
        with_parts(GOOD, {_SHEET: f"<worksheet {_NAMESPACE}><sheetData>{_HEADER}<row r="}),
        "415",
    ),
    NastyBook("no shared texts", with_parts(GOOD, {_STRINGS: None}), "415"),
    NastyBook("a shared text that is not there", _sheet('<row r="2"><c r="A2" t="s"><v>99</v></c></row>'), "415"),
    NastyBook(
        "a shared text of a negative number",
        _sheet('<row r="2"><c r="A2" t="s"><v>-1</v></c></row>'),
        "200 missing_value",
    ),
    NastyBook(
        "four billion shared texts, it says", _changed(_STRINGS, 'uniqueCount="', 'uniqueCount="429496729'), "413"
    ),
    NastyBook("no relations", with_parts(GOOD, {"xl/_rels/workbook.xml.rels": None}), "415"),
    NastyBook(
        "a relation to a file of the server",
        _changed("xl/_rels/workbook.xml.rels", "worksheets/sheet1.xml", "../../../../etc/passwd"),
        "415",
    ),
    NastyBook("no content types", with_parts(GOOD, {"[Content_Types].xml": None}), "200"),
    NastyBook(
        "wrong content types",
        _changed(
            "[Content_Types].xml",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml",
            "image/png",
        ),
        "200",
    ),
    NastyBook("styles that are no XML", with_parts(GOOD, {"xl/styles.xml": "<<<"}), "415"),
    NastyBook("no styles", with_parts(GOOD, {"xl/styles.xml": None}), "200"),
    NastyBook(
        "only hidden sheets",
        _changed(_BOOK, '<sheet name="List"', '<sheet state="hidden" name="List"'),
        "200 empty_file",
        "no visible sheet",
    ),
    NastyBook(
        "only very hidden sheets",
        _changed(_BOOK, '<sheet name="List"', '<sheet state="veryHidden" name="List"'),
        "200 empty_file",
    ),
    NastyBook("a sheet without a name", _changed(_BOOK, 'name="List"', 'name=""'), "200"),
    NastyBook("a name of 5,000 signs", _changed(_BOOK, 'name="List"', f'name="{"x" * 5_000}"'), "200"),
    NastyBook("two sheets of one name", xlsx({"List": _TABLE, "Other": [["x"]]}).replace(b"Other", b"List"), "200"),
    NastyBook("250 sheets", xlsx({f"Sheet {number}": _TABLE for number in range(250)}), "200"),
]
_XML: Final = [
    NastyBook("entities that grow", _sheet(_row("&a9;", "b"), doctype=_LAUGHS + "]>"), "415"),
    NastyBook(
        "an entity that is a file",
        _sheet(_row("&f;", "b"), doctype='<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'),
        "415",
    ),
    NastyBook(
        "a document type elsewhere",
        _sheet(_row("a", "b"), doctype='<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">'),
        "200",
    ),
    NastyBook("100,000 elements inside one another", _sheet("<a>" * 100_000 + "</a>" * 100_000), "200 no_rows"),
    NastyBook("a text of two million signs", _sheet(_row("x" * 2_000_000, "b")), "200 broken_quotes"),
    NastyBook(
        "in UTF-16",
        with_parts(GOOD, {_SHEET: f"<worksheet {_NAMESPACE}><sheetData/></worksheet>".encode("utf-16")}),
        "200 empty_file",
    ),
    NastyBook("a range of all cells, it says", _sheet(_row("a", "b"), above='<dimension ref="A1:XFD1048576"/>'), "200"),
    NastyBook("a range that is none", _sheet(_row("a", "b"), above='<dimension ref="ZZZZZ0:!"/>'), "415"),
]
_CELLS: Final = [
    NastyBook("a cell in the last corner", with_cell(GOOD, "XFD1048576"), "413", "far outside"),
    NastyBook("a cell in the last row", with_cell(GOOD, "A1048576"), "200 missing_value"),
    NastyBook("a cell in the last column", with_cell(GOOD, "XFD3"), "200 too_many_fields"),
    NastyBook(
        "a cell beyond the last column", _sheet('<row r="2"><c r="ZZZZ2"><v>1</v></c></row>'), "200 too_many_fields"
    ),
    NastyBook("a cell of row 0", _sheet('<row r="0"><c r="A0"><v>1</v></c></row>'), "415"),
    NastyBook("a row of a huge number", _sheet(_row("a", "b", number=4_294_967_297)), "200 missing_column"),
    NastyBook("a row of a negative number", _sheet(_row("a", "b", number=-5)), "415"),
    NastyBook("cells without places", _sheet('<row><c t="inlineStr"><is><t>a</t></is></c></row>'), "200 missing_value"),
    NastyBook("the same cell twice", _sheet(_row("a", "b") + _row("c", "d")), "200"),
    NastyBook("200,000 empty rows", with_empty_rows(GOOD, 200_000), "200"),
    NastyBook(
        "16,384 columns",
        xlsx({"List": [["name", "address", *map(str, range(16_382))], ["a", "b"]]}),
        "200 too_many_columns",
    ),
    NastyBook("formulas without values", _sheet(_row("<c r='A2'><f>1+1</f></c>", "b")), "200 missing_value"),
    NastyBook(
        "a formula that calls somebody",
        _sheet(_row('<c r="A2" t="str"><f>WEBSERVICE("http://127.0.0.1:1")</f><v>Mercy</v></c>', "b")),
        "200",
    ),
    NastyBook("errors in cells", _sheet(_row('<c r="A2" t="e"><v>#REF!</v></c>', "b")), "200"),
    NastyBook("an error that is none", _sheet(_row('<c r="A2" t="e"><v>oh</v></c>', "b")), "415"),
    NastyBook("truths for names", _sheet(_row('<c r="A2" t="b"><v>1</v></c>', "b")), "200"),
    NastyBook("numbers that are none", _sheet(_row("<c r='A2'><v>NaN</v></c>", "<c r='B2'><v>1e999</v></c>")), "200"),
    NastyBook("a number of 400 digits", _sheet(_row(f"<c r='A2'><v>{'9' * 400}</v></c>", "b")), "200"),
    NastyBook(
        "days for addresses",
        xlsx({"List": [["name", "address"], ["a", date(1999, 12, 31)]]}, default_date_format="d.m.y"),
        "200",
    ),
    NastyBook(
        "a day of the year 30,000",
        _changed(_SHEET, "</sheetData>", '<row r="3"><c r="A3" s="0"><v>1e7</v></c></row></sheetData>'),
        "200 missing_value",
    ),
    NastyBook("a type of cell that is none", _sheet(_row('<c r="A2" t="zzz"><v>1</v></c>', "b")), "415"),
    NastyBook(
        "merged cells over everything",
        _changed(_SHEET, "</sheetData>", '</sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>'),
        "200",
    ),
]
_OTHERS: Final = [
    NastyBook("Excel 5", xls(_TABLE), "200"),
    NastyBook("Excel 97", xls(_TABLE, version=8), "200"),
    NastyBook(
        "Excel 97 with a password", xls(_TABLE, version=8, is_protected=True), "200 protected_workbook", "password"
    ),
    NastyBook("a new one with a password", encrypted_xlsx(), "200 protected_workbook", "password"),
    NastyBook("an old one without a sheet", xls([]), "200 empty_file"),
    NastyBook("an old one that breaks off", xls(_TABLE)[:1_500], "415"),
    NastyBook("an old text document", compound_file({"WordDocument": b"\xec\xa5" * 2_000}), "415"),
    NastyBook(
        "an old one whose chain is a circle", xls(_TABLE).replace(struct.pack("<I", 3), struct.pack("<I", 1)), "200"
    ),
    NastyBook("ods: a row a million times", _ods_rows(_repeated(1_048_576, _TWO)), "413", is_slow=True),
    NastyBook("ods: empty rows to the end", _ods_rows(_repeated(1, _TWO) + _repeated(1_048_570, _EMPTY)), "200"),
    NastyBook("ods: a cell 16,384 times", _ods_rows(_repeated(1, _MANY)), "200 too_many_fields"),
    NastyBook("ods: every cell there is", _ods_rows(_repeated(1_048_576, _MANY)), "415"),
    NastyBook("ods: four billion rows", _ods_rows(_repeated(4_294_967_295, _TWO)), "413", is_slow=True),
    NastyBook("ods: a number of rows that is none", _ods_rows(_repeated("x", _TWO)), "415"),
    NastyBook(
        "ods with a password",
        with_parts(ods(_TABLE), {"content.xml": b"\1\2\3", "META-INF/manifest.xml": _ODS_PASSWORD}),
        "200 protected_workbook",
    ),
    NastyBook("ods without content", with_parts(ods(_TABLE), {"content.xml": None}), "415"),
    NastyBook("ods that breaks off", with_parts(ods(_TABLE), {"content.xml": "<office:document-content"}), "415"),
]
ALL: Final = [*_ARCHIVES, *_PARTS, *_XML, *_CELLS, *_OTHERS]
