"""A set of rows survives the way through an event, whichever rows it holds."""

import base64
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.contract.row_set import MAX_ROW, decode_rows, encode_rows


@given(some.sets(some.integers(2, 5000)))
def test_what_is_written_is_read(rows):
    """In ascending order, each row once."""
    assert list(decode_rows(encode_rows(rows))) == sorted(rows)


def test_half_of_a_million_rows_fits_into_an_event():
    """The worst there is: rows at random, which nothing compresses."""
    chance = random.Random(1)
    rows = [row for row in range(2, 1_000_002) if chance.random() < 0.5]
    text = encode_rows(rows)
    assert len(text) < 170_000
    assert list(decode_rows(text)) == rows


def test_no_row_is_an_empty_text():
    """So it stands in an event that corrects nothing."""
    assert encode_rows([]) == ""
    assert list(decode_rows("")) == []


@pytest.mark.parametrize("row", [-1, MAX_ROW + 1])
def test_a_row_that_no_job_has_is_refused(row):
    """Before it takes memory."""
    with pytest.raises(ValueError, match="is not between"):
        encode_rows([row])


@pytest.mark.parametrize(
    "text",
    [
        "?",
        "AAAA",
        base64.b64encode(zlib.compress(b"\x04")[:-3]).decode(),
        base64.b64encode(zlib.compress(bytes(100_000_000))).decode(),
    ],
)
def test_a_text_that_is_no_set_of_rows_is_refused(text):
    """Also one that would unpack to far more than any job has."""
    with pytest.raises(ValueError, match="not a set of rows"):
        list(decode_rows(text))
