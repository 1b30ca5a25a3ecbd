"""Whoever has only a row's columns finds in them the hospital that ingest found."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.csv_file.header import Header, find_header
from services.ingest.csv_file.rows import Row, RowReader
from shared.contract.events import FieldColumns
from shared.contract.hospital_columns import Hospital, cells_by_name, hospital_at, hospital_in
from tests.support.ingest.written_csv import csv_bytes

names = st.sampled_from(["name", "NAME", " Name ", "nAmE", "\tname"])
addresses = st.sampled_from(["address", "ADDRESS", " Address", "addresS "])
phones = st.sampled_from(["phone", "Phone ", " PHONE", None])
others = st.lists(st.sampled_from(["Beds", "name 2", "the address", "Hotline", "result_x"]), unique=True, max_size=3)
texts = st.text(alphabet="abz ÄßÉ-'", max_size=8)


@given(data=st.data(), name=names, address=addresses, phone=phones, more=others)
def test_the_hospital_in_the_columns_is_the_one_that_ingest_read(data, name, address, phone, more):
    """Whatever the header's case and order, and whatever stands round the values."""
    header = data.draw(st.permutations([name, address, *more, *([phone] if phone else [])]))
    values = {column: data.draw(texts) for column in header}
    values[name], values[address] = f" {values[name]}n ", f"{values[address]}a  "
    if phone:
        values[phone] = data.draw(st.sampled_from(["", "  ", "555-1", " +49 (7) 1 "]))
    text = io.StringIO(csv_bytes([header, [values[column] for column in header]]).decode(), newline="")
    found = find_header(text)
    assert isinstance(found, Header)
    [row] = RowReader(found).read(text)
    assert isinstance(row, Row), row
    assert hospital_in(cells_by_name(found.columns, row.cells)) == Hospital(row.name, row.address, row.phone)


def test_columns_without_a_hospital_have_none():
    """As those of a row whose event could not be read."""
    assert hospital_in({}) is hospital_in({"name": "St. Mary", "address": " "}) is None


@pytest.mark.parametrize(
    ("fields", "hospital"),
    [
        (FieldColumns(name=(1,), address=(2, 0), phone=(3,)), Hospital("Mercy", "1 Main, Town", "0123")),
        (FieldColumns(name=(1,), address=(0, 4, 2)), Hospital("Mercy", "Town, 1 Main", None)),
        (FieldColumns(name=(4,), address=(0,)), None),
        (FieldColumns(name=(1,), address=(9,)), None),
    ],
)
def test_the_hospital_is_where_the_job_says(fields, hospital):
    """Several cells are joined, empty ones left out; digits of other scripts are those of the directory."""
    assert hospital_at(fields, ["Town ", " Mercy", "1 Main", "\u0660\u0661\u0662\u0663", " "]) == hospital
