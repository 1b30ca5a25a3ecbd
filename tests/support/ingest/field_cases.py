# ruff: noqa: RUF001 - letters of other scripts
"""Files as people really upload them (tests/ingest/field_cases), and what has to become of each. All is invented.

Each stands for a kind of trouble: mend the kind, not the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = Path(__file__).parents[2] / "ingest" / "field_cases"


class FieldCase(NamedTuple):
    """A file. `found`: row, column and code of each error and warning, in the order of the rows."""

    name: str
    found: Sequence[tuple[int | None, str | None, str]] = ()
    #: The encodings that it may be in, each with the words that show it.
    guesses: Sequence[tuple[str, str]] = ()
    #: What a person answers then; all that follows is of the file as it is read with that.
    chosen: Mapping[str, str] = {}
    #: The columns of name, address and phone; None: no header was found.
    columns: Sequence[str | None] | None = ("name", "address", "phone")
    unused: Sequence[str] = ()
    header_row: int = 1
    delimiter: str = ","
    encoding: str | None = "utf-8"
    #: Every hospital as the directory is told of it, with its row; None: the file is refused.
    sent: Sequence[tuple[int, str, str, str | None]] | None = None
    status: int = 200

    @property
    def content(self) -> bytes:
        """The file's bytes."""
        return _LONG[self.name] if self.name in _LONG else (FOLDER / self.name).read_bytes()

    @property
    def mapping(self) -> Mapping[str, Any] | None:
        """As the service answers it."""
        if self.columns is None:
            return None
        fields = zip(("name", "address", "phone"), self.columns, strict=True)
        return {field: [column] if column else [] for field, column in fields} | {"unused": list(self.unused)}

    @property
    def verdict(self) -> Mapping[str, Any]:
        """What the service answers with what was chosen, as far as it is about how the file was read."""
        is_read = self.columns is not None
        return {
            "valid": self.sent is not None,
            "mapping": self.mapping,
            "header_row": self.header_row if is_read else None,
            "delimiter": self.delimiter if is_read else None,
            "encoding": self.encoding,
        }


def _flood(row: int) -> str:
    return f"{row},Field Flood {row},{'' if row == 1149 else f'{row} Flood Road'},555-{row:04d}\n"


#: Those of 1,200 rows.
_LONG: Final = {
    "16b-pandas-index-1200.csv": (",name,address,phone\n" + "".join(map(_flood, range(1200)))).encode(),
    "54-1200-errors.csv": b"name,address,phone\n" + b"".join(b"Field Cap %d,,555-%04d\n" % (n, n) for n in range(1200)),
}
CASES: Final = [
    FieldCase("16b-pandas-index-1200.csv", found=[(1, None, "unused_cells"), (1151, "address", "missing_value")]),
    FieldCase("54-1200-errors.csv", found=[(row, "address", "missing_value") for row in range(2, 1202)]),
    FieldCase(
        "01-windows-1252.csv",
        found=[(None, None, "unknown_encoding")],
        guesses=[
            ("windows-1252", "Hôpital Saint-Éloi, 12 rue de l’Église, Clínica Peña"),
            ("windows-1250", "Hôpital Saint-Éloi, 12 rue de l’Église, Clínica Peńa"),
            ("windows-1257", "Hōpital Saint-Éloi, 12 rue de l’Église, Clķnica Peńa"),
        ],
        chosen={"encoding": "windows-1252"},
        encoding="windows-1252",
        sent=[
            (2, "Hôpital Saint-Éloi", "12 rue de l’Église, Nîmes", "04 66 55 01 01"),
            (3, "Clínica Peña", "Calle Muñoz 3", "034 555 0102"),
        ],
    ),
    FieldCase(
        "02-sep-line.csv",
        header_row=2,
        delimiter=";",
        sent=[
            (3, "Field Klinik A", "Ringstraße 1", "0211 555 0201"),
            (4, "Field Klinik B", "Ringstraße 2, Haus C", "0211 555 0202"),
        ],
    ),
    FieldCase(
        "03-comma-rows.csv",
        unused=("beds",),
        header_row=2,
        sent=[(4, "Field Blank A", "1 Blank Road", "555-0301"), (7, "Field Blank B", "2 Blank Road", "555-0302")],
    ),
    FieldCase(
        "04-phone-scientific.csv",
        found=[(2, "phone", "shortened_phone"), (3, "phone", "shortened_phone"), (4, "phone", "shortened_phone")],
        delimiter=";",
    ),
    FieldCase(
        "05-commas-in-header.csv",
        columns=("name (max 100, required)", "address (street, number, city)", "phone (digits, spaces)"),
        delimiter=";",
        sent=[(2, "Field Hdr A", "1 Hdr Road, Town", "555 0501")],
    ),
    FieldCase(
        "06-semicolon-many-commas.csv",
        columns=("name", "address", None),
        delimiter=";",
        sent=[
            (2, "Field Semi A", "One Road, two, three, four, five, six", None),
            (3, "Field Semi B", "Two Road, a, b, c, d", None),
        ],
    ),
    FieldCase(
        "07-short-rows.csv",
        unused=("beds", "notes"),
        sent=[(2, "Field Short A", "1 Short Road", None), (3, "Field Short B", "2 Short Road", "555-0702")],
    ),
    FieldCase(
        "08-utf16le-excel-unicode-text.txt",
        delimiter="\t",
        encoding="utf-16",
        sent=[(2, "Klinik Süd", "Ringstraße 8", "0211 555 0801")],
    ),
    FieldCase(
        "09-telephone-header.csv",
        found=[(1, "CITY", "unused_column"), (1, "STATE", "unused_column")],
        columns=("NAME", "ADDRESS", "TELEPHONE"),
        unused=("CITY", "STATE"),
        sent=[(2, "Field Tel A", "1 Tel Road", "(555) 010-0901"), (3, "Field Tel B", "2 Tel Road", "(555) 010-0902")],
    ),
    FieldCase("11-no-header.csv", found=[(None, None, "no_header")], columns=None),
    FieldCase("11b-no-header-plain.csv", found=[(None, None, "no_header")], columns=None),
    FieldCase(
        "12-shift-jis.csv",
        found=[(None, None, "unknown_encoding")],
        guesses=[
            ("shift_jis", "名称, 所在地, 電話番号"),
            ("gb18030", "柤徧, 強嵼抧, 揹榖斣崋"),
            ("macintosh", "ñºèÃ, èäç›ín, ìdòbî‘çÜ"),
        ],
        chosen={"encoding": "shift_jis"},
        columns=("名称", "所在地", "電話番号"),
        encoding="shift_jis",
        sent=[(2, "試験病院", "見本県見本市1-2-3", "000-555-1200")],
    ),
    FieldCase("17-comments-top.csv", header_row=4, sent=[(5, "Field Comment A", "1 Comment Road", "555-1701")]),
    FieldCase("18-preamble.csv", header_row=4, sent=[(5, "Field Preamble A", "1 Preamble Road", "555-1801")]),
    FieldCase("19-footer-total.csv", found=[(5, "address", "missing_value")]),
    FieldCase("21-tab-in-cell.csv", sent=[(2, "Field Tab A", "1 Tab Road\tBuilding 2", "555-2101")]),
    FieldCase("22-pipe.csv", found=[(None, None, "unknown_delimiter")], columns=None),
    FieldCase(
        "23-cr-only.csv", sent=[(2, "Field Cr A", "1 Cr Road", "555-2301"), (3, "Field Cr B", "2 Cr Road", "555-2302")]
    ),
    FieldCase(
        "24-mixed-line-ends.csv",
        sent=[
            (2, "Field Mix A", "1 Mix Road", "555-2401"),
            (3, "Field Mix B", "2 Mix Road", "555-2402"),
            (4, "Field Mix C", "3 Mix Road", "555-2403"),
        ],
    ),
    FieldCase("26-inch-quote.csv", found=[(3, None, "broken_quotes")]),
    FieldCase("26b-inch-quote-ok.csv", sent=[(2, 'Field 5" Clinic', 'Unit 3" West', "555-2611")]),
    FieldCase("27-unclosed-quote.csv", found=[(2, None, "broken_quotes")]),
    FieldCase(
        "28-trailing-delims.csv",
        sent=[(2, "Field Trail A", "1 Trail Road", "555-2801"), (3, "Field Trail B", "2 Trail Road", "555-2802")],
    ),
    FieldCase("29-dup-headers.csv", found=[(1, "phone", "duplicate_column")], columns=None),
    FieldCase("30b-repeated-header.csv", found=[(3, None, "repeated_header")], columns=("name", "address", None)),
    FieldCase("32-quoted-bom-header.csv", sent=[(2, "Field Qbom A", "1 Qbom Road", "555-3201")]),
    FieldCase(
        "33-invisible.csv",
        columns=("name", "\xa0address\xa0", "phone"),
        sent=[(2, "Field Zw A", "1 Zw Road", "555-3301")],
    ),
    FieldCase(
        "34-invisible-cells.csv",
        found=[(3, "name", "missing_value"), (3, "address", "missing_value"), (4, None, "duplicate_row")],
    ),
    FieldCase(
        "34b-invisible-only.csv",
        found=[(2, "name", "missing_value"), (2, "address", "missing_value"), (4, None, "duplicate_row")],
    ),
    FieldCase("35-nfc-nfd.csv", found=[(3, None, "duplicate_row")]),
    FieldCase(
        "36b-arabic-fullwidth-digits.csv",
        sent=[
            (2, "Field Dig A", "1 Dig Road", "0123456"),
            (3, "Field Dig A", "1 Dig Road", "0123499"),
            (4, "Field Dig B", "2 Dig Road", "0355553601"),
        ],
    ),
    FieldCase("37-long-name.csv", found=[(3, "name", "too_long")]),
    FieldCase(
        "38-formula.csv",
        sent=[
            (2, '=HYPERLINK("http://x.example","Field Formula")', "1 Formula Road", "555-3801"),
            (3, "@SUM(1+1)", "-2+3", "+1 555 3802"),
        ],
    ),
    FieldCase(
        "39-chain.csv",
        found=[(1, "city", "unused_column")],
        unused=("city",),
        sent=[
            (2, "Mercy Hospital", "1 Hospital Drive", "555-3901"),
            (3, "Mercy Hospital", "1 Hospital Drive", "555-3902"),
            (4, "Mercy Hospital", "2 Hospital Drive Suite 100", "555-3903"),
            (5, "Mercy Hospital", "2 Hospital Drive Suite 200", "555-3903"),
        ],
    ),
    FieldCase("40-xlsx-as-csv.csv", status=415),
    FieldCase("42-html-error.csv", found=[(None, None, "html_page")], columns=None),
    FieldCase("43-json.csv", found=[(None, None, "json_document")], columns=None),
    FieldCase("44-header-only.csv", found=[(None, None, "no_rows")]),
    FieldCase("45-one-column.csv", found=[(1, "address", "missing_column")], columns=None),
    FieldCase(
        "48-phones.csv",
        found=[
            (5, "phone", "invalid_phone"),
            (6, "phone", "invalid_phone"),
            (7, "phone", "invalid_phone"),
            (8, "phone", "invalid_phone"),
            (12, "phone", "invalid_phone"),
            (13, "phone", "invalid_phone"),
            (15, "phone", "invalid_phone"),
        ],
    ),
    FieldCase("49-excel-text-guard.csv", found=[(2, "phone", "invalid_phone")]),
    FieldCase(
        "60-results-roundtrip.csv",
        found=[(1, "PLZ", "unused_column")],
        columns=("Name", "Address", "Phone"),
        unused=("PLZ", "Note"),
        delimiter=";",
        sent=[
            (2, "FieldOk Klinik A", "Ringstraße 1\r\n2. Stock", "+49 211 555 6001"),
            (3, "FieldRef400 Klinik B", 'Domplatz 2; Eingang "Nord"', "0211/555 6002"),
            (4, "FieldRef422 Klinik C", "Am Markt 3", "0211 555 6003"),
            (5, "FieldOk Klinik D", "Weg 4", None),
            (6, "FieldRef409 Klinik E", "Weg 5", "0211 555 6005"),
        ],
    ),
    FieldCase(
        "61-failed-as-downloaded.csv",
        found=[(1, "PLZ", "unused_column"), (4, "result_error_code", "outcome_unknown")],
        columns=("Name", "Address", "Phone"),
        unused=("PLZ", "Note"),
        delimiter=";",
    ),
    FieldCase(
        "62-successful-as-downloaded.csv",
        found=[
            (1, "PLZ", "unused_column"),
            (2, "result_status", "already_created"),
            (3, "result_status", "already_created"),
        ],
        columns=("Name", "Address", "Phone"),
        unused=("PLZ", "Note"),
        delimiter=";",
    ),
    FieldCase(
        "63-failed-corrected-by-excel-de.csv",
        found=[(1, "PLZ", "unused_column"), (4, "result_error_code", "outcome_unknown")],
        columns=("Name", "Address", "Phone"),
        unused=("PLZ", "Note"),
        delimiter=";",
    ),
    FieldCase(
        "64-failed-corrected-ansi.csv",
        found=[(1, "PLZ", "unused_column"), (4, "result_error_code", "outcome_unknown")],
        columns=("Name", "Address", "Phone"),
        unused=("PLZ", "Note"),
        delimiter=";",
    ),
    FieldCase("67-whole-line-quoted.csv", found=[(None, None, "quoted_lines")], columns=None),
    FieldCase(
        "68-space-after-comma.csv",
        sent=[
            (2, "Field Space A", "1 Space Road, Kingsport", "555-6801"),
            (3, "Field Space B", "2 Space Road", "555-6802"),
        ],
    ),
    FieldCase("68c-space-after-comma-no-comma-inside.csv", sent=[(2, "Field Space D", "4 Space Road", "555-6804")]),
    FieldCase(
        "68d-space-quote-no-phone.csv",
        columns=("name", "address", None),
        sent=[(2, "Field Sq A", "5 Space Road", None), (3, "Field Sq B", "6 Space Road", None)],
    ),
    FieldCase(
        "69-smart-quotes.csv",
        found=[
            (2, None, "too_many_fields"),
            (2, "phone", "invalid_phone"),
            (2, "name", "typographic_quotes"),
            (2, "address", "typographic_quotes"),
        ],
    ),
    FieldCase(
        "69b-smart-quotes-no-comma.csv",
        found=[(2, "name", "typographic_quotes"), (2, "address", "typographic_quotes")],
        columns=("name", "address", None),
        sent=[(2, "“Field Sm B”", "“2 Smart Road”", None)],
    ),
    FieldCase("71-backslash-escapes.csv", found=[(2, None, "broken_quotes"), (3, "phone", "invalid_phone")]),
    FieldCase(
        "71b-backslash-null.csv",
        found=[
            (2, "address", "placeholder"),
            (3, "address", "placeholder"),
            (4, "address", "placeholder"),
            (5, "address", "placeholder"),
            (6, "name", "placeholder"),
            (7, "address", "placeholder"),
            (8, "name", "placeholder"),
            (8, "address", "placeholder"),
            (9, "name", "placeholder"),
            (9, "address", "placeholder"),
            (10, "name", "placeholder"),
            (10, "address", "placeholder"),
        ],
        sent=[
            (2, "Field Null C", "\\N", "555-7103"),
            (3, "Field Null D", "NULL", "555-7104"),
            (4, "Field Null E", "nan", "555-7105"),
            (5, "Field Null F", "#REF!", "555-7106"),
            (6, "#NAME?", "6 Null Road", "555-7107"),
            (7, "Field Null G", "#N/A", "-655"),
            (8, "None", "None", None),
            (9, "-", "-", None),
            (10, ".", ".", None),
        ],
    ),
    FieldCase(
        "72-mojibake.csv",
        found=[(2, "name", "mojibake"), (2, "address", "mojibake"), (3, "name", "mojibake"), (4, "name", "mojibake")],
        sent=[
            (2, "HÃ´pital Field", "12 rue de lâ€™Ã‰glise", "555-7201"),
            (3, "H�pital Field", "1 rue", "555-7202"),
            (4, "Klinik S?d Field", "2 Weg", "555-7203"),
        ],
    ),
    FieldCase("73-vertical-tab.csv", found=[(2, "address", "control_character")]),
    FieldCase(
        "74-asterisk-headers.csv",
        columns=("Name *", "Address (required)", "Phone No."),
        sent=[(2, "Field Star A", "1 Star Road", "555-7401")],
    ),
    FieldCase("77-bom-only.csv", found=[(None, None, "empty_file")], columns=None),
    FieldCase("79-numbers-padded.csv", delimiter=";", sent=[(2, "Field Pad A", "1 Pad Road", "555-7901")]),
    FieldCase(
        "81-merged-cells.csv", found=[(1, "State", "unused_column"), (4, "name", "missing_value")], unused=("State",)
    ),
    FieldCase("87-tsv-with-quotes.tsv", found=[(2, None, "broken_quotes")], delimiter="\t"),
    FieldCase(
        "89-phone-number-header.csv",
        columns=("name", "address", "Phone Number"),
        sent=[(2, "Field Pn A", "1 Pn Road", "2565550101")],
    ),
    FieldCase(
        "91-latin1-only-in-unused-column.csv",
        found=[(None, None, "unknown_encoding")],
        guesses=[("windows-1252", "café"), ("windows-1251", "cafй"), ("windows-1253", "cafι")],
        chosen={"encoding": "windows-1252"},
        columns=("name", "address", None),
        unused=("notes",),
        encoding="windows-1252",
        sent=[(2, "Field L1 A", "1 L1 Road", None)],
    ),
    FieldCase("95-emptyish.csv", found=[(None, None, "empty_file")], columns=None),
    FieldCase("97-house-number-after-comma.csv", found=[(2, "phone", "shifted_row"), (3, "phone", "shifted_row")]),
    FieldCase(
        "98-own-result-column.csv",
        unused=("result_contact", "Result_Date"),
        sent=[(2, "Field Res A", "1 Res Road", "555-9801")],
    ),
]
#: Those that are taken, some of them with an answer to a question.
ACCEPTED: Final = [case for case in CASES if case.sent is not None]
