"""The header: any order, any case, three delimiters, and advice where it is wrong."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.csv_file.header import (
    MAX_COLUMNS,
    NO_HEADER,
    Header,
    HeaderRejected,
    HeaderRequest,
    find_header,
)
from services.ingest.csv_file.known_columns import HospitalField
from services.ingest.csv_file.rows import Row, RowReader


def header_of(text: str) -> Header:
    """The header of a text that has a good one."""
    found = find_header(io.StringIO(text, newline=""))
    assert isinstance(found, Header)
    return found


def errors_of(text: str) -> list[str]:
    """What is wrong with the header of a text."""
    found = find_header(io.StringIO(text, newline=""))
    assert isinstance(found, HeaderRejected)
    return [error.message for error in found.errors]


@given(st.permutations(["name", "address", "phone", "beds"]), st.sampled_from([",", ";", "\t"]))
def test_columns_come_in_any_order_with_any_delimiter(columns, delimiter):
    """The delimiter is found, not asked for."""
    found = header_of(delimiter.join(columns) + "\n")

    assert (found.delimiter, found.columns) == (delimiter, tuple(columns))
    assert found.mapping.name == (columns.index("name"),)
    assert found.mapping.address == (columns.index("address"),)
    assert found.mapping.phone == (columns.index("phone"),)


def test_case_and_spaces_do_not_matter_but_are_kept():
    """Result files show the header as it was written."""
    found = header_of(" NAME ;Address\n")

    assert found.columns == (" NAME ", "Address")
    assert found.mapping.phone == ()


def test_a_comma_inside_a_quoted_name_does_not_win():
    """The delimiter that finds the required columns is the one."""
    assert header_of('name;address;"beds, total, of all kinds, in use"\n').delimiter == ";"


def test_blank_lines_above_the_header_are_counted():
    """The first data row keeps the number that the spreadsheet shows."""
    assert header_of("\n,,\nname,address\n").row == 3


def test_result_columns_are_left_out():
    """A failed.csv can be corrected and uploaded as it is."""
    found = header_of("name,result_status,address,Result_Error\n")

    assert found.columns == ("name", "address")
    assert found.indices == (0, 2)


def test_columns_without_a_name_are_remembered():
    """Their cells have to be empty, which only the rows can tell."""
    assert header_of("name,,address, \n").unnamed == (1, 3)


@pytest.mark.parametrize("text", ["a,b\n", "hospital,b\n", "x,street\n"])
def test_a_missing_column_comes_with_advice(text):
    """What the header has, and how to say which column it is."""
    assert all("The header in row 1 has: " in error and "`mapping`" in error for error in errors_of(text))


def test_every_missing_column_is_listed():
    """Not one upload for each."""
    assert len(errors_of("a,b\n")) == 2


def test_two_columns_of_one_name_are_an_error():
    """Nobody could tell which one counts."""
    assert "2 columns called 'name'" in errors_of("name,address,NAME\n")[0]


@pytest.mark.parametrize("text", ["", "\n", "\r\n\r\n", " \n,,,\n"])
def test_an_empty_file_is_called_empty(text):
    """Blank lines do not fill it."""
    assert errors_of(text) == ["The file is empty."]


def test_a_header_that_is_never_closed_is_named():
    """An open quote in the first line."""
    assert "never closed" in errors_of('"name,address\n')[0]


def test_too_many_columns_are_refused():
    """A million columns are an attack, or an accident."""
    text = "name,address" + ",x" * MAX_COLUMNS + "\n"

    assert f"{MAX_COLUMNS + 2:,} columns" in errors_of(text)[0]


@pytest.mark.parametrize(
    ("name", "address", "phone"),
    [
        ("Hospital Name", "ADDRESS", "TELEPHONE"),
        ("Krankenhaus", "Straße", "Telefonnummer"),
        ("Nom de l'établissement", "Adresse", "Téléphone"),
        ("Nombre del hospital", "Dirección", "Teléfono"),
        ("Nome do Hospital", "Endereço", "Telefone"),
        ("Ospedale", "Indirizzo", "Numero di telefono"),
        ("Ziekenhuis", "Adres", "Telefoonnummer"),
        ("病院名", "所在地", "電話番号"),
        ("병원명", "도로명주소", "전화번호"),
        ("医院名称", "地址", "联系电话"),
        ("Name *", "address (street, city):", "Phone_No."),
    ],
)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_well_known_names_are_found_in_any_order(name, address, phone, order):
    """In ten languages, whatever their case, accents and punctuation."""
    names = [name, address, phone]
    found = header_of(";".join(names[place] for place in order) + "\n").mapping
    assert (found.name, found.address, found.phone) == tuple((order.index(place),) for place in range(3))


def test_an_exact_name_goes_before_others():
    """And the other one is told of."""
    found = header_of("Hospital Name,name,address,Phone,Phone (mobile)\n")
    assert (found.mapping.name, found.mapping.phone) == ((1,), (3,))
    assert found.mapping.useful == (0, 4)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (
            "Hospital Name,Facility Name,address\n",
            "could be the name: 'Hospital Name', 'Facility Name'",
        ),
        ("name,address,Telephone,Mobile\n", "could be the phone: 'Telephone', 'Mobile'"),
    ],
)
def test_two_candidates_are_named(header, words):
    """Nobody guesses; the parameter is shown."""
    (error,) = errors_of(header)
    assert words in error
    assert "`mapping`" in error


def test_the_request_says_which_columns_count():
    """Exactly first, then folded; several are joined; null means none; the others are found."""
    mapping = {HospitalField.ADDRESS: ("Street", "city"), HospitalField.PHONE: ()}
    found = find_header(io.StringIO("Klinik,STREET,Street,City,Phone\n"), HeaderRequest(mapping))
    assert isinstance(found, Header)
    assert (found.mapping.name, found.mapping.address, found.mapping.phone) == ((0,), (2, 3), ())
    assert found.mapping.useful == (1, 4)


@pytest.mark.parametrize(
    ("names", "code"), [(("Nothing",), "unknown_column"), (("result_row",), "unknown_column"), ((), "missing_column")]
)
def test_a_mapping_that_cannot_be_followed_is_an_error(names, code):
    """With what the header has."""
    request = HeaderRequest({HospitalField.NAME: names})
    found = find_header(io.StringIO("name,address,result_row\n"), request)
    assert isinstance(found, HeaderRejected)
    assert [error.code for error in found.errors] == [code]


@pytest.mark.parametrize(
    ("above", "row"),
    [("sep=;\r\n", 2), ("Report;;\n;;\n# made by hand\n", 4), ('a "title"; x\n', 2), ("\n" * 19, 20)],
)
def test_what_stands_above_the_header_is_skipped(above, row):
    """And counted, as the spreadsheet does."""
    found = header_of(above + "name;address\n")
    assert (found.row, found.delimiter) == (row, ";")


def test_the_request_says_where_the_header_stands():
    """Also where another row looks more like one."""
    text = "name,address\nName of hospital,Postal address\na,b\n"
    found = find_header(io.StringIO(text), HeaderRequest(row=2))
    assert isinstance(found, Header)
    assert (found.row, found.columns) == (2, ("Name of hospital", "Postal address"))
    missing = find_header(io.StringIO(text), HeaderRequest(row=7))
    assert isinstance(missing, HeaderRejected)
    assert missing.errors[0].code == "no_header"


def test_columns_without_a_header_have_letters():
    """Then every row is data, but for Excel's own line. A letter may be small."""
    mapping = {HospitalField.NAME: ("b",), HospitalField.ADDRESS: ("C", "AB")}
    for above in ("", "sep=,\n"):
        text = io.StringIO(f"{above}1,Mercy,2 Road{',' * 25}Town\n2,Hope,3 Road\n")
        found = find_header(text, HeaderRequest(mapping, NO_HEADER))
        assert isinstance(found, Header)
        assert (found.row, found.is_lettered, found.width) == (bool(above), True, 28)
        assert found.columns[24:] == ("Y", "Z", "AA", "AB")
        rows = [row for row in RowReader(found).read(text) if isinstance(row, Row)]
        assert [row[1:3] for row in rows] == [("Mercy", "2 Road, Town"), ("Hope", "3 Road")]
        assert rows[0].row == 1 + bool(above)


LETTERS = {HospitalField.NAME: ("A",), HospitalField.ADDRESS: ("B",)}


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("Klinik Nord;Hauptstr. 1, 10115 Berlin\n", ";"),
        ("Good Hope;1 Hope Street, Suite 4, Boston;5551234567\n", ";"),
        ("Klinik Nord\tHauptstr. 1,10115 Berlin\tRot;Kreuz\n", "\t"),
        # Phones are missing, commas are in each row.
        ("Nord;Str. 1, 10115 Berlin;030\nOst;Str. 2, 10116 Berlin\nMitte;Str. 3, 10117 Berlin\n", ";"),
        # One row is no hospital.
        ("Nord;Str. 1, 10115 Berlin\nOst;Str. 2, 10116 Berlin\nTotal, 2\n", ";"),
        # A list in each row.
        ("Hope,1 Road,heart;eye\nMercy,2 Road,ear;eye;skin\n", ","),
        ('Hope,"1 Road;Suite 4"\nMercy,"2 Road;Suite 5"\n', ","),
        ("Hope, 1 Road, Boston\nMercy, 2 Road;Suite 5, Boston\nLourdes, 3 Road, Boston\n", ","),
        ("sep=,\nHope,1 Road;Suite 4\n", ","),
    ],
)
def test_without_a_header_the_delimiter_is_the_one_that_fits_the_rows(text, delimiter):
    """A comma within an address separates nothing, although it would give enough columns as well."""
    found = find_header(io.StringIO(text), HeaderRequest(LETTERS, NO_HEADER))
    assert isinstance(found, Header)
    assert found.delimiter == delimiter


@pytest.mark.parametrize("text", ["Hope,1 Road;Suite 4\n", "Nord;Str. 1,Berlin;030\nOst;Str. 2,Berlin;040\n"])
def test_a_delimiter_that_cannot_be_told_is_asked_for(text):
    """No hospital is made of a guess. The line that is asked for is understood."""
    request = HeaderRequest(LETTERS, NO_HEADER)
    refused = find_header(io.StringIO(text), request)
    assert isinstance(refused, HeaderRejected)
    assert [error.code for error in refused.errors] == ["unknown_delimiter"]
    for sign in ",;":
        assert f"`sep={sign}`" in refused.errors[0].message
        found = find_header(io.StringIO(f"sep={sign}\n{text}"), request)
        assert isinstance(found, Header)
        assert found.delimiter == sign


@pytest.mark.parametrize(
    ("text", "mapping", "codes"),
    [
        ("a;b,c\nd;e\n", {}, ["missing_column", "missing_column"]),
        ("a;b,c\nd;e\n", {HospitalField.NAME: ("A",), HospitalField.ADDRESS: ("C",)}, ["unknown_column"]),
        ("", {}, ["empty_file"]),
        ('"a,b\n', {}, ["broken_quotes"]),
        ("a," * 1_000 + "b\n", {HospitalField.NAME: ("A",), HospitalField.ADDRESS: ("B",)}, ["too_many_columns"]),
    ],
)
def test_letters_that_are_missing_or_wrong_are_told(text, mapping, codes):
    """About no row, since none names them."""
    found = find_header(io.StringIO(text), HeaderRequest(mapping, NO_HEADER))
    assert isinstance(found, HeaderRejected)
    assert [error.code for error in found.errors] == codes
    if codes == ["missing_column"] * 2:
        assert found.errors[0].row is None
        assert "by its letter, A to B" in found.errors[0].message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<!DOCTYPE html>\n<html><body>Login</body></html>\n", "html_page"),
        ('[{"name": "a", "address": "b"}]\n', "json_document"),
        ("name|address|phone\na|b|1\n", "unknown_delimiter"),
        ('"name,address"\n"a,b"\n', "quoted_lines"),
        ("Saint Mary,1 Main Street,555-0101\nMercy,2 Main Street,555-0102\n", "no_header"),
        ("Standort,Bezeichner,Kanal\n", "missing_column"),
    ],
)
def test_the_cause_is_called_by_its_name(text, code):
    """Not only "missing"."""
    found = find_header(io.StringIO(text))
    assert isinstance(found, HeaderRejected)
    assert found.errors[0].code == code
