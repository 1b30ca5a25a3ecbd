"""What can be wrong with the cells of a row, and what looks wrong."""

import re
from collections.abc import Iterator
from typing import Final

from services.ingest.csv_file.header import Header
from services.ingest.csv_file.known_columns import HospitalField
from services.ingest.csv_file.records import Cells
from shared.contract.hospital_matching import fold
from shared.runtime.http.row_problems import ProblemCode, RowProblem, shown

#: Control characters other than tab and line ends, which a quoted field may hold.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_PHONE: Final = re.compile(r"(?=.*\d)[\w\s+().,/#*;:\-\u2010-\u2015\u2212]+", re.DOTALL)
#: Any of the signs that the checks below look for: a row without them needs none. A class of ASCII signs alone is found
#: twice as quickly.
_SUSPICIOUS_ASCII: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\\?]")
_SUSPICIOUS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\\?\u201c\u201d\u201e\ufffd\u00c2\u00c3\u00e2]")
_MOJIBAKE: Final = re.compile(
    "\u00c3[\u0080-\u00bf\u0152-\u02dc\u2013-\u2122]|\u00c2[\u0080-\u00bf]|\u00e2\u20ac|\ufffd|\\w\\?\\w"
)
_TYPOGRAPHIC: Final = re.compile("^[\u201c\u201d\u201e]|[\u201c\u201d]$")
_ESCAPED: Final = re.compile(r'\\["\'n]')
_FORMULA_ERROR: Final = re.compile(
    r"#(REF!|NAME\?|N/A|VALUE!|DIV/0!|NULL!|NUM!|SPILL!|NV|WERT!|BEZUG!|NOM\s?\?)", re.IGNORECASE
)
_PLACEHOLDERS: Final = frozenset({"null", "\\n", "nan", "none", "n/a", "na", "nil", "undefined", "-", "--", "?", "."})
_LONGEST_PLACEHOLDER: Final = max(map(len, _PLACEHOLDERS))
_EXPONENT: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)?E[+-]?\d+", re.IGNORECASE)
_DECIMAL: Final = re.compile(r"\d+[.,]0")
_FOOTER: Final = re.compile(
    r"(grand )?total\b|sum(me)?\b|gesamt|somme\b|suma\b|soma\b|totale\b|totaal|合計|합계|总计|總計|"
    r"(end of|ende der) (file|report|list|liste)|generated (on|by)\b|\d+ (rows|records|hospitals)\b",
    re.IGNORECASE,
)
#: The rest of an address that was cut at its comma: 12, 12a, 12/3. A phone number has more digits.
_HOUSE_NUMBER: Final = re.compile(r"\d{1,3}\s?[a-zA-Z]?(?:[/-]\d{1,2})?")
_LONGEST_HOUSE_NUMBER: Final = 8
_SHORTEST_STREET: Final = 6
#: What nearly all of them look like: no sign that a number of a spreadsheet has, longer than any house number.
_PLAIN_PHONE: Final = re.compile(r"[+(]?[0-9][0-9 ()/-]{7,}")
#: With four digits or more, and not a number of a spreadsheet.
_ORDINARY_PHONE: Final = re.compile(
    rf"(?!(?:{_EXPONENT.pattern}|{_DECIMAL.pattern})\Z)(?=(?:\D*\d){{4}})[^eE\\&=\"'<>]+"
)
#: What `result_status` says of a row that became a hospital.
CREATED: Final = frozenset({"created", "created_and_activated"})
_UNKNOWN: Final = "outcome_unknown"


def is_ordinary(cells: Cells, name: str, address: str, phone: str) -> bool:
    """The quick look at the values of a row that nearly every row passes."""
    joined = "\t".join(cells)
    return (
        (_SUSPICIOUS_ASCII if joined.isascii() else _SUSPICIOUS).search(joined) is None
        and (not phone or _PLAIN_PHONE.fullmatch(phone) is not None or _ORDINARY_PHONE.fullmatch(phone) is not None)
        and _FOOTER.match(name) is None
        and (len(name) > _LONGEST_PLACEHOLDER or fold(name) not in _PLACEHOLDERS)
        and (len(address) > _LONGEST_PLACEHOLDER or fold(address) not in _PLACEHOLDERS)
        and name[0] != "#"
        and address[0] != "#"
    )


def _is_house_number(text: str) -> bool:
    return len(text) <= _LONGEST_HOUSE_NUMBER and _HOUSE_NUMBER.fullmatch(text) is not None


class CellChecks:
    """Finds what is wrong with a row, and what looks wrong."""

    def __init__(self, header: Header, max_chars: int, repeat_created: bool) -> None:
        self._header = header
        self._max_chars = max_chars
        self._repeat_created = repeat_created
        self._folded_header = [fold(cell) for cell in header.cells]
        #: Columns of whose cells somebody has been warned: once is enough.
        self._warned: set[int] = set()
        self._used = {index for each in HospitalField for index in header.mapping.of(each)}

    def problems(
        self, row: int, cells: Cells, name: str, address: str, phone: str
    ) -> tuple[list[RowProblem], list[RowProblem]]:
        """The errors and the warnings of a row."""
        if self._repeats_header(cells):
            message = f"Row {row} repeats the header. Delete it."
            return [_problem(row, None, ProblemCode.REPEATED_HEADER, message)], []
        found = [
            *self._layout(row, cells, address, phone),
            *self._values(row, name, address, phone),
            *self._earlier_result(row, cells),
        ]
        errors = [problem for problem in found if not problem.is_warning]
        return errors, [problem for problem in found if problem.is_warning]

    def _repeats_header(self, cells: Cells) -> bool:
        header = self._folded_header
        folded = [fold(cell) for cell in cells[: len(header)]]
        return not any(cells[len(header) :]) and folded == header[: len(cells)] and not any(header[len(cells) :])

    # ---- the layout of the row ---------------------------------------------------------------------------------------

    def _layout(self, row: int, cells: Cells, address: str, phone: str) -> Iterator[RowProblem]:
        width = self._header.width
        if any(cell.strip() for cell in cells[width:]):
            sign = {",": "a comma", ";": "a semicolon", "\t": "a tab"}.get(
                self._header.delimiter, f"`{self._header.delimiter}`"
            )
            message = (
                f"The row has {len(cells)} fields, the header {width}. "
                f"Is there {sign} inside a field? Put that field in double quotes."
            )
            yield _problem(row, None, ProblemCode.TOO_MANY_FIELDS, message)
        elif self._is_shifted(address, phone):
            message = (
                f"{phone!r} looks like the house number of {shown(address)!r}, not like a phone number. "
                'Put an address that contains a comma in double quotes: "Via Roma, 12". '
                "If it is a phone number, write its area code too."
            )
            yield _problem(row, HospitalField.PHONE, ProblemCode.SHIFTED_ROW, message, phone)
        for index in self._header.unnamed:
            if index < len(cells) and cells[index].strip():
                yield from self._unused(self._header.row, index, cells[index], "has no name, so results leave it out")
        for index in self._header.indices:
            if index < len(cells):
                yield from self._cell(row, index, cells[index])

    def _is_shifted(self, address: str, phone: str) -> bool:
        mapping = self._header.mapping
        return (
            self._header.delimiter == ","
            and len(address) >= _SHORTEST_STREET
            and mapping.phone[:1] == (mapping.address[-1] + 1,)
            and not any(map(str.isdigit, address))
            and _is_house_number(phone)
        )

    def _cell(self, row: int, index: int, cell: str) -> Iterator[RowProblem]:
        used = index in self._used
        column = self._header.column(index)
        if len(cell) > self._max_chars:
            message = f"The field has {len(cell):,} characters. At most {self._max_chars:,} are taken: shorten it."
            if used:
                yield _problem(row, column, ProblemCode.TOO_LONG, message, cell)
            else:
                yield from self._unused(row, index, cell, f"has a field of over {self._max_chars:,} characters")
        if found := _CONTROL.search(cell):
            if used:
                message = (
                    f"The field has an invisible control character at position {found.start() + 1}. "
                    "Type the field anew, without copying it."
                )
                yield _problem(row, column, ProblemCode.CONTROL_CHARACTER, message, _CONTROL.sub("\u2423", cell))
            else:
                yield from self._unused(row, index, cell, "has invisible control characters")

    def _unused(self, row: int, index: int, cell: str, what: str) -> Iterator[RowProblem]:
        """Once for each column: what is not sent to the directory stops nobody."""
        if index in self._warned:
            return
        self._warned.add(index)
        name = self._header.cells[index].strip()[:100]
        message = (
            f"{f'The column {name!r}' if name else f'Column {index + 1}'} {what}. It is not sent to the directory."
        )
        yield _problem(row, name or None, ProblemCode.UNUSED_CELLS, message, _CONTROL.sub("\u2423", cell))

    # ---- the values of the hospital ----------------------------------------------------------------------------------

    def _values(self, row: int, name: str, address: str, phone: str) -> Iterator[RowProblem]:
        footer = bool(_FOOTER.match(name))
        for column, value in ((HospitalField.NAME, name), (HospitalField.ADDRESS, address)):
            if not value:
                hint = " It looks like a line below the list: delete it." if footer else ""
                message = f"The {column} is missing.{hint}"
                yield _problem(row, column, ProblemCode.MISSING_VALUE, message)
            else:
                yield from _looks_wrong(row, column, value)
        if footer and address:
            message = f"{shown(name)!r} looks like a line below the list. Delete it if it is not a hospital."
            yield _problem(row, HospitalField.NAME, ProblemCode.FOOTER, message, name)
        if phone:
            yield from _phone_problems(row, phone)

    # ---- what an earlier job made of the row -------------------------------------------------------------------------

    def _earlier_result(self, row: int, cells: Cells) -> Iterator[RowProblem]:
        status, code = self._ours(cells, "result_status"), self._ours(cells, "result_error_code")
        if status in CREATED and not self._repeat_created:
            hospital = self._ours(cells, "result_hospital_id")
            message = (
                f"This row was created before{f' as hospital {shown(hospital)}' if hospital else ''}. Delete the row, "
                "or allow rows that were created before (`repeat_created`) to create it once more."
            )
            yield _problem(row, "result_status", ProblemCode.ALREADY_CREATED, message, status)
        elif code == _UNKNOWN:
            message = (
                "Nobody knows yet whether this row was created. Look for the hospital in the directory, and say on the "
                "page of its job whether it is there. Then delete the row here."
            )
            yield _problem(row, "result_error_code", ProblemCode.OUTCOME_UNKNOWN, message, code)

    def _ours(self, cells: Cells, name: str) -> str:
        index = self._header.ours.get(name, len(cells))
        return cells[index].strip() if index < len(cells) else ""


def _looks_wrong(row: int, column: HospitalField, value: str) -> Iterator[RowProblem]:
    if fold(value) in _PLACEHOLDERS or _FORMULA_ERROR.match(value):
        message = f"{shown(value)!r} stands for a missing value. Write the {column}, or delete the row."
        yield _problem(row, column, ProblemCode.PLACEHOLDER, message, value)
    if _MOJIBAKE.search(value):
        message = (
            "Letters are damaged here. The file was saved or opened with a wrong encoding before. "
            "Export it again as CSV UTF-8, or correct the letters."
        )
        yield _problem(row, column, ProblemCode.MOJIBAKE, message, value)
    if _TYPOGRAPHIC.search(value):
        message = "The field has typographic quotes (\u201c \u201d), which stay in the value. Are straight ones meant?"
        yield _problem(row, column, ProblemCode.TYPOGRAPHIC_QUOTES, message, value)
    if _ESCAPED.search(value):
        message = "The field has a backslash, which stays in the value. Remove it if it only escapes a sign."
        yield _problem(row, column, ProblemCode.ESCAPED_QUOTES, message, value)


def _phone_problems(row: int, phone: str) -> Iterator[RowProblem]:
    column = HospitalField.PHONE
    if not _PHONE.fullmatch(phone):
        message = f"{phone[:40]!r} is not a phone number. It needs a digit, and no other signs than + ( ) - . / # *."
        yield _problem(row, column, ProblemCode.INVALID_PHONE, message, phone)
    elif _EXPONENT.fullmatch(phone):
        message = (
            f"{phone!r} is a number that the spreadsheet has shortened; its last digits are lost. "
            "Format the column as text, enter the phone numbers again, and save."
        )
        yield _problem(row, column, ProblemCode.SHORTENED_PHONE, message, phone)
    elif _DECIMAL.fullmatch(phone):
        message = f"{phone!r} is a number, not a text: a zero in front may be lost. Format the column as text."
        yield _problem(row, column, ProblemCode.DECIMAL_PHONE, message, phone)


def _problem(row: int, column: str | None, code: ProblemCode, message: str, value: str | None = None) -> RowProblem:
    return RowProblem(row=row, column=column, code=code, message=message, value=None if value is None else shown(value))
