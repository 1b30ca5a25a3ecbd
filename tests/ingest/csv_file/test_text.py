"""The encoding: UTF-8 is read, everything else is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.csv_file.text import NotCsv, NotUtf8, open_text
from tests.support.ingest.written_csv import written


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_no_part_of_the_header(mark, tmp_path):
    """Excel writes one, others do not."""
    with open_text(written(tmp_path, mark + b"name\r\nx\ry\n")) as text:
        assert text.read() == "name\r\nx\ry\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named_as_such(encoding, tmp_path):
    """Excel's `Unicode text`."""
    content = ("\ufeff" if encoding != "utf-16" else "") + "name,address\n"

    with pytest.raises(NotUtf8, match="UTF-16"):
        open_text(written(tmp_path, content.encode(encoding)))


def test_a_byte_that_is_not_utf_8_is_given_with_its_place(tmp_path):
    """A file in Latin-1, on its third line."""
    content = "name,address\nfine,1\nCafé,2\n".encode("latin-1")

    with pytest.raises(NotUtf8, match=r"byte 0xE9 at position 23 \(line 3\)"):
        open_text(written(tmp_path, content))


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.integers(1, 8))
def test_the_position_is_right_wherever_the_file_is_cut_into_chunks(shared_directory, before, size):
    """The bytes of one character may be in two chunks."""
    good = ("a" + before).encode()

    with pytest.raises(NotUtf8, match=f"position {len(good)} \\(line {1 + good.count(10)}\\)"):
        open_text(written(shared_directory, good + b"\xff" + b"rest"), chunk_bytes=size)


@pytest.fixture(scope="module")
def shared_directory(tmp_path_factory):
    """One directory for all examples of a test."""
    return tmp_path_factory.mktemp("text")


def test_a_character_cut_off_at_the_end_is_named(tmp_path):
    """The file was cut."""
    with pytest.raises(NotUtf8, match=r"byte 0xC3 at position 5 \(line 2\)"):
        open_text(written(tmp_path, b"name\n\xc3"))


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"PK\x03\x04xl/workbook", "an Excel workbook"),
        (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"\x89PNG\r\n", "a picture"),
    ],
)
def test_a_file_of_another_kind_is_named(start, kind, tmp_path):
    """Whatever its name says."""
    with pytest.raises(NotCsv, match=kind):
        open_text(written(tmp_path, start))
